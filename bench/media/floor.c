/* The kernel's share: an epoll loop that only moves packets between connected sockets. No crypto, no RTCP, no checks.
 *
 * usage: floor ADDRESS FIRST-PORT CALLS PHONE-ADDRESS PHONE-PORT PROVIDER-ADDRESS PROVIDER-PORT
 * Call i has port FIRST + 4i toward the phone and FIRST + 4i + 2 toward the provider. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct sockaddr_in name(const char *address, int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(address)};
}

static int leg(const char *address, int port, struct sockaddr_in remote) {
    struct sockaddr_in own = name(address, port);
    int size = 128 << 10, one = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setsockopt(one, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(one, (struct sockaddr *)&own, sizeof own) || connect(one, (struct sockaddr *)&remote, sizeof remote)) {
        perror("leg");
        exit(1);
    }
    return one;
}

int main(int count, char **words) {
    if (count != 8) return 1;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int poll = epoll_create1(0), first = atoi(words[2]), calls = atoi(words[3]);
    for (int i = 0; i < calls; i++) {
        int phone = leg(words[1], first + 4 * i, name(words[4], atoi(words[5])));
        int provider = leg(words[1], first + 4 * i + 2, name(words[6], atoi(words[7])));
        struct epoll_event one = {EPOLLIN, {.u64 = (uint64_t)phone << 32 | provider}}, other = {EPOLLIN, {.u64 = (uint64_t)provider << 32 | phone}};
        epoll_ctl(poll, EPOLL_CTL_ADD, phone, &one);
        epoll_ctl(poll, EPOLL_CTL_ADD, provider, &other);
    }
    puts("ready");
    fflush(stdout);
    static struct epoll_event events[512];
    static uint8_t packet[2048];
    for (;;) {
        int ready = epoll_wait(poll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            ssize_t size = recv(events[i].data.u64 >> 32, packet, sizeof packet, 0);
            if (size > 0) send((int)(events[i].data.u64 & 0xffffffff), packet, size, 0);
        }
    }
}
