/* A load client for the remote program of libvirtd or virtd, over TLS on loopback.
 *
 *   tls PORT FOLDER CONNECTIONS IN_FLIGHT SECONDS
 *       Every connection keeps IN_FLIGHT calls of procedure 66 (AUTH_LIST) under way, the calls of one
 *       turn in one record, as the daemons' replies are. Prints calls per second. FOLDER has
 *       cacert.pem, clientcert.pem and clientkey.pem.
 *
 * One thread and one epoll. Reads block until a record is whole: the daemon is on the same machine.
 */

#include "client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

enum {
    PROGRAM = 0x20008086,
    AUTH_LIST = 66,
    LIST_REPLY = HEADER + 8, /* one kind of authentication: a count and a number */
    MAX_IN_FLIGHT = 64,
    BATCH = 64,
};

struct connection {
    SSL *ssl;
    size_t held; /* bytes of an incomplete reply */
    unsigned char part[LIST_REPLY];
    uint32_t slots[MAX_IN_FLIGHT]; /* the serial that is under way in each slot */
};

static void fail_tls(const char *what)
{
    fail("%s: %s", what, ERR_reason_error_string(ERR_get_error()));
}

static SSL_CTX *make_context(const char *folder)
{
    char path[3][512];
    const char *names[3] = {"cacert", "clientcert", "clientkey"};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    for (int at = 0; at < 3; at++)
        snprintf(path[at], sizeof path[at], "%s/%s.pem", folder, names[at]);
    if (!context || SSL_CTX_load_verify_locations(context, path[0], NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, path[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, path[2], SSL_FILETYPE_PEM) != 1)
        fail_tls("the certificates cannot be used");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return context;
}

static void write_all(struct connection *one, const unsigned char *data, size_t size)
{
    if (size && SSL_write(one->ssl, data, (int)size) != (int)size)
        fail_tls("cannot send");
}

static int connect_tls(struct connection *one, SSL_CTX *context, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = SILENCE_MS / 1000};
    unsigned char confirmation;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("cannot connect to port %d: %s", port, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
    one->ssl = SSL_new(context);
    SSL_set_fd(one->ssl, fd);
    if (SSL_connect(one->ssl) != 1)
        fail_tls("no TLS");
    if (SSL_read(one->ssl, &confirmation, 1) != 1 || confirmation != 1)
        fail("the daemon did not let us in");
    return fd;
}

static void start_calls(struct connection *one, uint32_t in_flight)
{
    unsigned char out[HEADER * MAX_IN_FLIGHT];
    for (uint32_t slot = 0; slot < in_flight; slot++) {
        one->slots[slot] = in_flight + slot;
        put_call(out + slot * HEADER, HEADER, PROGRAM, AUTH_LIST, one->slots[slot]);
    }
    write_all(one, out, in_flight * HEADER);
}

/* Take what has come, put a new call in each slot that became free. Returns how many. */
static long turn(struct connection *one, uint32_t in_flight)
{
    static unsigned char in[LIST_REPLY * (MAX_IN_FLIGHT + 1)], out[HEADER * MAX_IN_FLIGHT];
    long replies = 0;

    do {
        size_t at = 0, size, outgoing = 0;
        memcpy(in, one->part, one->held);
        int got = SSL_read(one->ssl, in + one->held, (int)(sizeof in - one->held));
        if (got <= 0)
            fail_tls("the daemon closed a connection");
        size = one->held + (size_t)got;
        for (; size - at >= LIST_REPLY; at += LIST_REPLY) {
            uint32_t serial = word(in + at + 20), *slot = &one->slots[serial % in_flight];
            expect_header(in + at, LIST_REPLY, PROGRAM, AUTH_LIST);
            if (*slot != serial)
                fail("reply to serial %u, but %u is under way in its slot", serial, *slot);
            *slot += in_flight;
            put_call(out + outgoing, HEADER, PROGRAM, AUTH_LIST, *slot);
            outgoing += HEADER;
            replies++;
        }
        one->held = size - at;
        memcpy(one->part, in + at, one->held);
        write_all(one, out, outgoing);
    } while (SSL_pending(one->ssl));
    return replies;
}

int main(int count, char **words)
{
    if (count != 6)
        fail("usage: tls PORT FOLDER CONNECTIONS IN_FLIGHT SECONDS");
    long connections = atol(words[3]), replies = 0;
    uint32_t in_flight = (uint32_t)atol(words[4]);
    double seconds = atof(words[5]);
    if (connections < 1 || in_flight < 1 || in_flight > MAX_IN_FLIGHT)
        fail("CONNECTIONS is at least 1, IN_FLIGHT from 1 to %d", MAX_IN_FLIGHT);

    SSL_CTX *context = make_context(words[2]);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    struct epoll_event events[BATCH];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long number = 0; number < connections; number++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[number]};
        int fd = connect_tls(&all[number], context, atoi(words[1]));
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
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
    return 0;
}
