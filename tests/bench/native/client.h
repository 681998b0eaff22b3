/* What the load clients share: frames of libvirt's RPC on a UNIX socket, time, and giving up. */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

enum {
    TYPE_REPLY = 1,
    HEADER = 28, /* length word and header: the frame of a call or a reply that carries nothing */
    SILENCE_MS = 30000,
};

static inline void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static inline double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static inline uint32_t word(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return ntohl(value);
}

static inline void put(unsigned char *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, sizeof value);
}

/* A call of `length` bytes whose arguments are zeros so far; all programs here have version 1. */
static inline void put_call(unsigned char *at, uint32_t length, uint32_t program,
                            uint32_t procedure, uint32_t serial)
{
    memset(at, 0, length);
    put(at, length);
    put(at + 4, program);
    put(at + 8, 1);
    put(at + 12, procedure);
    put(at + 20, serial);
}

static inline void send_all(int fd, const unsigned char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            fail("cannot send: %s", strerror(errno));
        data += sent;
        size -= (size_t)sent;
    }
}

/* Connect, waiting for as long as the backlog is full. A daemon may be silent for so long only. */
static inline int connect_to(const char *path, long number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = SILENCE_MS / 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path)
        fail("the path %s is too long for a socket", path);
    strcpy(address.sun_path, path);
    if (fd < 0)
        fail("client %ld: no socket: %s", number, strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("client %ld: cannot connect to %s: %s", number, path, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static inline void expect_header(const unsigned char *reply, uint32_t length, uint32_t program,
                                 uint32_t procedure)
{
    if (word(reply) != length || word(reply + 4) != program || word(reply + 12) != procedure ||
        word(reply + 16) != TYPE_REPLY || word(reply + 24) != 0)
        fail("reply of %u bytes, program %#x, procedure %u, type %u, status %u was not expected",
             word(reply), word(reply + 4), word(reply + 12), word(reply + 16), word(reply + 24));
}

/* Wait for a reply that carries nothing. */
static inline void expect_done(int fd, uint32_t program, uint32_t procedure, long number)
{
    unsigned char reply[HEADER];
    ssize_t size = recv(fd, reply, sizeof reply, MSG_WAITALL);
    if (size != sizeof reply)
        fail("client %ld: no answer to procedure %u: %s", number, procedure,
             size < 0 ? strerror(errno) : "connection closed");
    expect_header(reply, HEADER, program, procedure);
}
