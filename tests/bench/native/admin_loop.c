/* A loop over libvirt's own admin library: one connection, one call after another.
 *
 *   admin_loop URI SECONDS      prints calls per second of virAdmConnectGetLibVersion
 *
 * The library is blocking and has one call under way at a time, which is what a program that uses
 * it gets; the other side of the comparison is rpc.client with many under way.
 */

#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int failed(void)
{
    fprintf(stderr, "admin_loop: %s\n", virGetLastErrorMessage());
    return 1;
}

int main(int count, char **words)
{
    if (count != 3) {
        fputs("usage: admin_loop URI SECONDS\n", stderr);
        return 1;
    }
    virAdmConnectPtr connection = virAdmConnectOpen(words[1], 0);
    if (!connection)
        return failed();
    double seconds = atof(words[2]), begin = now(), end = begin;
    long calls = 0;
    for (; end - begin < seconds; end = now(), calls++) {
        unsigned long long version;
        if (virAdmConnectGetLibVersion(connection, &version) < 0)
            return failed();
    }
    printf("%.1f\n", (double)calls / (end - begin));
    virAdmConnectClose(connection);
    return 0;
}
