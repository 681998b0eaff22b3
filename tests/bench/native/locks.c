/* A load client for the lock space program of virtlockd or lockd, over a UNIX socket.
 *
 *   locks pairs SOCKET FOLDER CLIENTS IN_FLIGHT SECONDS
 *       Every client locks and releases a file of its own in FOLDER again and again, with IN_FLIGHT
 *       calls under way. Prints pairs per second.
 *   locks hold SOCKET FOLDER CLIENTS
 *       Every client locks a file of its own in FOLDER; prints the seconds until the last one had
 *       it. Then holds them all, idle, until its standard input ends, and releases them.
 *
 * All clients act for one owner process, a child that sleeps until this program ends: a daemon ends
 * the process of a client that goes away while it holds locks of its own. Locks of another process
 * outlive the connection, so they are all given back before the end.
 *
 * Replies come in the order of the calls, and each is checked. Before it starts, each client looks
 * with fcntl whether the file is locked when it should be, and is not when it should not be.
 */

#include "client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROGRAM = 0x0EA7BEEF,
    REGISTER = 1,
    ACQUIRE = 6,
    RELEASE = 7,
    MAX_PATH = 192,
    MAX_CALL = HEADER + 4 + 4 + MAX_PATH + 4,
    MAX_IN_FLIGHT = 128,
    BATCH = 64,
};

struct client {
    int fd;
    size_t held; /* bytes of an incomplete reply */
    unsigned char part[HEADER];
    uint32_t answered, sent; /* serials; an odd one acquires, an even one releases */
    char path[MAX_PATH];
    size_t size; /* of either call */
    unsigned char call[2][MAX_CALL];
};

static pid_t owner;

static void end_owner(void)
{
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
}

/* Start the process for which all clients act; it does not outlive this one. */
static void start_owner(void)
{
    pid_t parent = getpid();
    owner = fork();
    if (owner < 0)
        fail("no process to act for: %s", strerror(errno));
    if (owner > 0) {
        atexit(end_owner);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(STDIN_FILENO); /* whoever reads our output must not wait for this process, too */
    close(STDOUT_FILENO);
    while (getppid() == parent)
        pause();
    _exit(0);
}

static uint32_t procedure_of(uint32_t serial)
{
    return serial % 2 ? ACQUIRE : RELEASE;
}

static void register_owner(struct client *one, uint32_t number)
{
    unsigned char call[HEADER + 16 + 8 + 4 + 4 + 4];
    put_call(call, sizeof call, PROGRAM, REGISTER, 0);
    put(call + HEADER, number + 1); /* the beginning of the UUID */
    put(call + HEADER + 16, 4);
    memcpy(call + HEADER + 20, "load", 4);
    put(call + HEADER + 24, number + 1);
    put(call + HEADER + 28, (uint32_t)owner);
    send_all(one->fd, call, sizeof call);
    expect_done(one->fd, PROGRAM, REGISTER, number);
}

/* The arguments: the default lockspace, which is named by an empty string, a path, and flags. */
static void put_resource(struct client *one)
{
    size_t length = strlen(one->path);
    one->size = HEADER + 4 + 4 + (length + 3) / 4 * 4 + 4;
    for (uint32_t serial = 1; serial <= 2; serial++) {
        unsigned char *call = one->call[serial % 2];
        put_call(call, one->size, PROGRAM, procedure_of(serial), serial);
        put(call + HEADER + 4, (uint32_t)length);
        memcpy(call + HEADER + 8, one->path, length);
    }
}

static struct client *connect_all(const char *path, const char *folder, const char *kind,
                                  long clients, uint32_t first)
{
    struct client *all = calloc((size_t)clients, sizeof *all);
    for (long number = 0; number < clients; number++) {
        struct client *one = &all[number];
        if (snprintf(one->path, MAX_PATH, "%s/%s-%ld", folder, kind, number) >= MAX_PATH)
            fail("the path %s is too long", folder);
        int file = open(one->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0)
            fail("%s cannot be made: %s", one->path, strerror(errno));
        close(file);
        one->fd = connect_to(path, number);
        register_owner(one, first + (uint32_t)number);
        put_resource(one);
    }
    return all;
}

static const unsigned char *next_call(struct client *one)
{
    one->sent++;
    put(one->call[one->sent % 2] + 20, one->sent);
    return one->call[one->sent % 2];
}

/* One call, and its answer. */
static void do_next(struct client *one, long number)
{
    send_all(one->fd, next_call(one), one->size);
    expect_done(one->fd, PROGRAM, procedure_of(++one->answered), number);
}

static void expect_locked(const struct client *one, int expected)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int file = open(one->path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fcntl(file, F_GETLK, &lock) < 0)
        fail("cannot look at the locks of %s: %s", one->path, strerror(errno));
    close(file);
    if ((lock.l_type != F_UNLCK) != expected)
        fail("%s should %sbe locked", one->path, expected ? "" : "not ");
}

/* Take the replies in one read, send what follows. Returns how many pairs are complete now. */
static long turn(struct client *one, int stopping)
{
    static unsigned char in[HEADER * (MAX_IN_FLIGHT + 1)], out[MAX_CALL * MAX_IN_FLIGHT];
    size_t at = 0, size, outgoing = 0;
    long pairs = 0;

    memcpy(in, one->part, one->held);
    ssize_t got = recv(one->fd, in + one->held, sizeof in - one->held, 0);
    if (got <= 0)
        fail("the daemon closed a connection: %s", got ? strerror(errno) : "end of file");
    size = one->held + (size_t)got;
    for (; size - at >= HEADER; at += HEADER) {
        expect_header(in + at, HEADER, PROGRAM, procedure_of(++one->answered));
        if (word(in + at + 20) != one->answered)
            fail("reply to serial %u instead of %u", word(in + at + 20), one->answered);
        pairs += one->answered % 2 == 0;
        if (stopping && one->sent % 2 == 0)
            continue;
        memcpy(out + outgoing, next_call(one), one->size);
        outgoing += one->size;
    }
    one->held = size - at;
    memcpy(one->part, in + at, one->held);
    send_all(one->fd, out, outgoing);
    return pairs;
}

static long turns(int epoll, int stopping, long *left)
{
    struct epoll_event events[BATCH];
    long pairs = 0;
    int ready = epoll_wait(epoll, events, BATCH, SILENCE_MS);
    if (ready < 0 && errno == EINTR)
        return 0;
    if (ready <= 0)
        fail("the daemon answered nothing for %d s", SILENCE_MS / 1000);
    for (int number = 0; number < ready; number++) {
        struct client *one = events[number].data.ptr;
        pairs += turn(one, stopping);
        *left -= stopping && one->answered == one->sent;
    }
    return pairs;
}

static void pairs(const char *path, const char *folder, long clients, uint32_t in_flight,
                  double seconds)
{
    struct client *all = connect_all(path, folder, "pair", clients, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    long done = 0, left = clients;

    for (long number = 0; number < clients; number++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[number]};
        do_next(&all[number], number);
        expect_locked(&all[number], 1);
        do_next(&all[number], number);
        expect_locked(&all[number], 0);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[number].fd, &event);
    }
    double begin = now(), end = begin;
    for (long number = 0; number < clients; number++)
        for (uint32_t call = 0; call < in_flight; call++)
            send_all(all[number].fd, next_call(&all[number]), all[number].size);
    for (; end - begin < seconds; end = now())
        done += turns(epoll, 0, &left);
    printf("%.1f\n", (double)done / (end - begin));
    while (left)
        turns(epoll, 1, &left);
}

static void hold(const char *path, const char *folder, long clients)
{
    char nothing[64];
    double begin = now();
    struct client *all = connect_all(path, folder, "held", clients, 1 << 16);

    for (long number = 0; number < clients; number++)
        do_next(&all[number], number);
    printf("%.6f\n", now() - begin);
    fflush(stdout);
    for (long number = 0; number < clients; number++)
        expect_locked(&all[number], 1);
    while (read(STDIN_FILENO, nothing, sizeof nothing) > 0)
        continue;
    for (long number = 0; number < clients; number++) {
        expect_locked(&all[number], 1);
        do_next(&all[number], number);
    }
}

int main(int count, char **words)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    start_owner();
    if (count == 7 && !strcmp(words[1], "pairs")) {
        long clients = atol(words[4]), in_flight = atol(words[5]);
        if (clients < 1 || in_flight < 1 || in_flight > MAX_IN_FLIGHT)
            fail("CLIENTS is at least 1, IN_FLIGHT from 1 to %d", MAX_IN_FLIGHT);
        pairs(words[2], words[3], clients, (uint32_t)in_flight, atof(words[6]));
    } else if (count == 5 && !strcmp(words[1], "hold")) {
        hold(words[2], words[3], atol(words[4]));
    } else {
        fail("usage: locks pairs SOCKET FOLDER CLIENTS IN_FLIGHT SECONDS"
             " | locks hold SOCKET FOLDER CLIENTS");
    }
    return 0;
}
