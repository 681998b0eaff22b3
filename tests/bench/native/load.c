/* A load client for the admin program of a libvirt-like daemon, over a UNIX socket.
 *
 *   load calls SOCKET CONNECTIONS IN_FLIGHT SECONDS
 *       Every connection keeps IN_FLIGHT calls of procedure 3 (CONNECT_GET_LIB_VERSION) under way.
 *       Prints calls per second. The slots of a connection share no serial: a reply that does not
 *       match the call in its slot ends the run, so what is counted was answered.
 *   load open SOCKET CLIENTS
 *       Connects CLIENTS clients, each with a CONNECT_OPEN, and prints the seconds until the last
 *       one was answered. Then holds them all, idle, until its standard input ends.
 *
 * One thread and one epoll; nothing is pinned. Exits with 1 and says why when anything is not as
 * it should be, a daemon that is silent for 30 s included.
 */

#include "client.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PROGRAM = 0x06900690,
    CONNECT_OPEN = 1,
    CONNECT_GET_LIB_VERSION = 3,
    OPEN_FRAME = 32,    /* CONNECT_OPEN has one argument, its flags */
    VERSION_REPLY = 36, /* the version is a u64 */
    MAX_IN_FLIGHT = 1024,
    BATCH = 64,
};

struct connection {
    int fd;
    size_t held; /* bytes of an incomplete reply */
    unsigned char part[VERSION_REPLY];
    uint32_t slots[MAX_IN_FLIGHT]; /* the serial that is under way in each slot */
};

/* Connect and send CONNECT_OPEN with serial 0. */
static int connect_and_open(const char *path, long number)
{
    unsigned char call[OPEN_FRAME];
    int fd = connect_to(path, number);
    put_call(call, OPEN_FRAME, PROGRAM, CONNECT_OPEN, 0);
    send_all(fd, call, sizeof call);
    return fd;
}

/* Take the replies in one read, put a new call in each slot that became free. Returns how many. */
static long turn(struct connection *one, uint32_t in_flight)
{
    static unsigned char in[VERSION_REPLY * (MAX_IN_FLIGHT + 1)], out[HEADER * MAX_IN_FLIGHT];
    size_t at = 0, size, outgoing = 0;
    long replies = 0;

    memcpy(in, one->part, one->held);
    ssize_t got = recv(one->fd, in + one->held, sizeof in - one->held, 0);
    if (got <= 0)
        fail("the daemon closed a connection: %s", got ? strerror(errno) : "end of file");
    size = one->held + (size_t)got;
    for (; size - at >= VERSION_REPLY; at += VERSION_REPLY) {
        uint32_t serial = word(in + at + 20), *slot = &one->slots[serial % in_flight];
        expect_header(in + at, VERSION_REPLY, PROGRAM, CONNECT_GET_LIB_VERSION);
        if (*slot != serial)
            fail("reply to serial %u, but %u is under way in its slot", serial, *slot);
        *slot += in_flight;
        put_call(out + outgoing, HEADER, PROGRAM, CONNECT_GET_LIB_VERSION, *slot);
        outgoing += HEADER;
        replies++;
    }
    one->held = size - at;
    if (one->held >= 4 && word(in + at) != VERSION_REPLY)
        fail("a reply of %u bytes was not expected", word(in + at));
    memcpy(one->part, in + at, one->held);
    send_all(one->fd, out, outgoing);
    return replies;
}

static void start_calls(struct connection *one, uint32_t in_flight)
{
    unsigned char out[HEADER * MAX_IN_FLIGHT];
    for (uint32_t slot = 0; slot < in_flight; slot++) {
        one->slots[slot] = in_flight + slot;
        put_call(out + slot * HEADER, HEADER, PROGRAM, CONNECT_GET_LIB_VERSION,
                 one->slots[slot]);
    }
    send_all(one->fd, out, in_flight * HEADER);
}

static void calls(const char *path, long connections, uint32_t in_flight, double seconds)
{
    struct connection *all = calloc((size_t)connections, sizeof *all);
    struct epoll_event events[BATCH];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    long replies = 0;

    for (long number = 0; number < connections; number++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[number]};
        all[number].fd = connect_and_open(path, number);
        expect_done(all[number].fd, PROGRAM, CONNECT_OPEN, number);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[number].fd, &event);
    }
    double begin = now(), end = begin;
    for (long number = 0; number < connections; number++)
        start_calls(&all[number], in_flight);
    while (end - begin < seconds) {
        int ready = epoll_wait(epoll, events, BATCH, SILENCE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            fail("the daemon answered nothing for %d s", SILENCE_MS / 1000);
        for (int number = 0; number < ready; number++)
            replies += turn(events[number].data.ptr, in_flight);
        end = now();
    }
    printf("%.1f\n", (double)replies / (end - begin));
}

static void open_and_hold(const char *path, long clients)
{
    int *all = calloc((size_t)clients, sizeof *all);
    char nothing[64];

    double begin = now();
    for (long number = 0; number < clients; number++)
        all[number] = connect_and_open(path, number);
    for (long number = 0; number < clients; number++)
        expect_done(all[number], PROGRAM, CONNECT_OPEN, number);
    printf("%.6f\n", now() - begin);
    fflush(stdout);
    while (read(STDIN_FILENO, nothing, sizeof nothing) > 0)
        continue;
    for (long number = 0; number < clients; number++)
        if (recv(all[number], nothing, sizeof nothing, MSG_DONTWAIT) >= 0)
            fail("client %ld did not stay connected and idle", number);
}

int main(int count, char **words)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (count == 6 && !strcmp(words[1], "calls")) {
        long connections = atol(words[3]), in_flight = atol(words[4]);
        if (connections < 1 || in_flight < 1 || in_flight > MAX_IN_FLIGHT)
            fail("CONNECTIONS is at least 1, IN_FLIGHT from 1 to %d", MAX_IN_FLIGHT);
        calls(words[2], connections, (uint32_t)in_flight, atof(words[5]));
    } else if (count == 4 && !strcmp(words[1], "open")) {
        open_and_hold(words[2], atol(words[3]));
    } else {
        fail("usage: load calls SOCKET CONNECTIONS IN_FLIGHT SECONDS | load open SOCKET CLIENTS");
    }
    return 0;
}
