/* Guests that write to their logs, through the pipes that virtlogd or logd handed out.
 *
 *   writers flood SECONDS FD...
 *       Writes lines of text into every pipe as fast as they are taken, 64 KiB at a time. After
 *       SECONDS each gets a last line, "end NUMBER": the bytes that went before it. Prints the
 *       monotonic time of the beginning, and the bytes of all pipes.
 *   writers delays SECONDS FLOOD_FD FD PATH [FD PATH]...
 *       Floods one pipe, 64 KiB at a time, while every other one gets a line each quarter of a
 *       second; a new line waits until the one before is in the file PATH. Prints, in milliseconds,
 *       the median, the 99th percentile and the maximum of the time from a line's write until its
 *       file had it, then how many lines there were, and the bytes a second of the flood.
 *
 * The pipes are inherited. "flood" is one thread; "delays" is one for the flood and one, which is
 * told of each growth by inotify, for all others.
 */

#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK = 64 * 1024,
    LINE = 80,
    BATCH = 64,
};

static const double INTERVAL = 0.25;

static char chunk[CHUNK];

static void make_chunk(void)
{
    for (int at = 0; at < CHUNK; at += LINE) {
        int size = CHUNK - at < LINE ? CHUNK - at : LINE;
        memset(chunk + at, 'a' + at / LINE % 26, (size_t)size);
        chunk[at + size - 1] = '\n';
    }
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t written = write(fd, data, size);
        if (written < 0)
            fail("cannot write to a log: %s", strerror(errno));
        data += written;
        size -= (size_t)written;
    }
}

/* -- flood ------------------------------------------------------------------------------------ */

struct writer {
    int fd;
    long long written;
};

static void write_some(struct writer *one)
{
    size_t at = (size_t)(one->written % CHUNK);
    ssize_t written = write(one->fd, chunk + at, CHUNK - at);
    if (written >= 0)
        one->written += written;
    else if (errno != EAGAIN)
        fail("cannot write to a log: %s", strerror(errno));
}

static void write_end(struct writer *one)
{
    char line[64];
    int size = snprintf(line, sizeof line, "\nend %lld\n", one->written + 1);
    fcntl(one->fd, F_SETFL, fcntl(one->fd, F_GETFL) & ~O_NONBLOCK);
    write_all(one->fd, line, (size_t)size);
    one->written += size;
}

static void flood(double seconds, int count, char **pipes)
{
    struct writer *all = calloc((size_t)count, sizeof *all);
    struct epoll_event events[BATCH];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    long long written = 0;

    for (int number = 0; number < count; number++) {
        struct epoll_event event = {.events = EPOLLOUT, .data.ptr = &all[number]};
        all[number].fd = atoi(pipes[number]);
        fcntl(all[number].fd, F_SETFL, fcntl(all[number].fd, F_GETFL) | O_NONBLOCK);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[number].fd, &event) < 0)
            fail("%s is not a pipe: %s", pipes[number], strerror(errno));
    }
    double begin = now();
    while (now() - begin < seconds) {
        int ready = epoll_wait(epoll, events, BATCH, SILENCE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            fail("the daemon read nothing for %d s", SILENCE_MS / 1000);
        for (int number = 0; number < ready; number++)
            write_some(events[number].data.ptr);
    }
    for (int number = 0; number < count; number++) {
        write_end(&all[number]);
        written += all[number].written;
    }
    printf("%.9f %lld\n", begin, written);
}

/* -- delays ----------------------------------------------------------------------------------- */

struct quiet {
    int fd, watch;
    const char *path;
    long long size;   /* of the file, when all that was written is in it */
    double due, sent; /* when to write the next line; when the last one was written, or 0 */
};

struct quiets {
    struct quiet *all;
    int count, inotify, waiting; /* waiting: lines that are not in their files yet */
    double *delays;
    long lines, room;
};

struct source {
    int fd;
    long long written;
    atomic_bool stop;
};

static void *flood_one(void *given)
{
    struct source *one = given;
    while (!atomic_load(&one->stop)) {
        write_all(one->fd, chunk, CHUNK);
        one->written += CHUNK;
    }
    return NULL;
}

static void write_line(struct quiets *set, struct quiet *one)
{
    char line[64];
    int size = snprintf(line, sizeof line, "line %ld of all, of a guest that is quiet\n",
                        set->lines + set->waiting);
    one->sent = now();
    write_all(one->fd, line, (size_t)size);
    one->size += size;
    one->due += INTERVAL;
    if (one->due < one->sent)
        one->due = one->sent;
    set->waiting++;
}

static void note_growth(struct quiets *set, struct quiet *one)
{
    struct stat found;
    if (!one->sent || stat(one->path, &found) < 0 || found.st_size < one->size)
        return;
    if (set->lines == set->room)
        fail("more than %ld lines in that time cannot be", set->room);
    set->delays[set->lines++] = (now() - one->sent) * 1000;
    one->sent = 0;
    set->waiting--;
}

/* Wait until a file grows, `until` at the most, and take down what arrived. */
static void watch(struct quiets *set, double until)
{
    static char buffer[64 * 1024] __attribute__((aligned(8)));
    struct pollfd ready = {.fd = set->inotify, .events = POLLIN};
    double left = until - now();
    struct timespec limit = {.tv_sec = (time_t)left, .tv_nsec = (long)((left - (time_t)left) * 1e9)};
    if (left <= 0 || ppoll(&ready, 1, &limit, NULL) <= 0)
        return;
    ssize_t size = read(set->inotify, buffer, sizeof buffer);
    for (ssize_t at = 0; at < size;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        at += (ssize_t)(sizeof *event + event->len);
        if (event->mask & IN_Q_OVERFLOW)
            fail("too many events of inotify");
        note_growth(set, &set->all[event->wd - set->all[0].watch]);
    }
}

static struct quiets watch_all(int count, char **words, double seconds)
{
    struct quiets set = {
        .all = calloc((size_t)count, sizeof *set.all),
        .count = count,
        .inotify = inotify_init1(IN_CLOEXEC),
        .room = (long)((seconds / INTERVAL + 2) * count),
    };
    struct stat found;
    set.delays = calloc((size_t)set.room, sizeof *set.delays);
    for (int number = 0; number < count; number++) {
        struct quiet *one = &set.all[number];
        *one = (struct quiet){.fd = atoi(words[2 * number]), .path = words[2 * number + 1]};
        one->watch = inotify_add_watch(set.inotify, one->path, IN_MODIFY);
        if (one->watch != set.all[0].watch + number || stat(one->path, &found) < 0)
            fail("%s cannot be watched: %s", one->path, strerror(errno));
        one->size = found.st_size;
    }
    return set;
}

/* Every quiet guest has its own moment in each interval. */
static void write_lines(struct quiets *set, double seconds)
{
    double begin = now();
    for (int number = 0; number < set->count; number++)
        set->all[number].due = begin + INTERVAL * number / set->count;
    while (now() - begin < seconds) {
        double next = begin + seconds, moment = now();
        for (int number = 0; number < set->count; number++) {
            struct quiet *one = &set->all[number];
            if (one->sent)
                continue;
            if (one->due <= moment)
                write_line(set, one);
            else if (one->due < next)
                next = one->due;
        }
        watch(set, next);
    }
    while (set->waiting) {
        if (now() - begin - seconds > SILENCE_MS / 1000)
            fail("%d lines did not arrive in %d s", set->waiting, SILENCE_MS / 1000);
        watch(set, now() + 1);
    }
}

static int compare(const void *one, const void *other)
{
    double first = *(const double *)one, second = *(const double *)other;
    return (first > second) - (first < second);
}

static void delays(double seconds, int flood_fd, int count, char **words)
{
    struct quiets set = watch_all(count, words, seconds);
    struct source flood = {.fd = flood_fd};
    pthread_t thread;

    double begin = now();
    pthread_create(&thread, NULL, flood_one, &flood);
    write_lines(&set, seconds);
    atomic_store(&flood.stop, 1);
    pthread_join(thread, NULL);
    double end = now();
    qsort(set.delays, (size_t)set.lines, sizeof *set.delays, compare);
    printf("%.4f %.4f %.4f %ld %.0f\n", set.delays[set.lines / 2],
           set.delays[(long)((double)(set.lines - 1) * 0.99)], set.delays[set.lines - 1], set.lines,
           (double)flood.written / (end - begin));
}

int main(int count, char **words)
{
    make_chunk();
    if (count > 3 && !strcmp(words[1], "flood"))
        flood(atof(words[2]), count - 3, words + 3);
    else if (count > 5 && count % 2 == 0 && !strcmp(words[1], "delays"))
        delays(atof(words[2]), atoi(words[3]), (count - 4) / 2, words + 4);
    else
        fail("usage: writers flood SECONDS FD..."
             " | writers delays SECONDS FLOOD_FD FD PATH [FD PATH]...");
    return 0;
}
