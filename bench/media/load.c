/* Sends the packets of a plan at their times, and checks every packet that comes back, byte for byte.
 *
 * usage: load PLAN [share]
 * plan file:  struct plan, then `flows` of struct flow, then for each flow `packets` packets to send, then for each
 *             flow `packets` packets to expect.
 * output:     one line of JSON: sent, received, wrong, latency of the median and of the 99th in 100, in microseconds.
 *
 * Latency is from the moment before a packet is sent to the kernel's stamp on what comes back, so that this program's own
 * delays are not in it; the first fifth of a second, in which all calls begin at once, is left out.
 * Two sockets stand for all phones and for all providers, so that one sendmmsg takes what is due now; a flow is known by
 * the relay's address and port that its packets come from. The loop spins: it wants a core of its own;
 * told to `share` it, it sleeps between packets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct plan { uint32_t flows, packets, interval_us, first_sequence; uint32_t address[2]; uint16_t port[2]; };
struct flow { uint32_t to_address; uint16_t to_port, side; uint32_t from_address; uint16_t from_port, send_size, expect_size, spare; };

enum { BATCH = 64, SIZE = 2048, STAMP = 64, BEGINNING_US = 200000, NAP_NS = 10000 };

static struct plan *plan;
static struct flow *flows;
static uint8_t **sending, **expecting;
static uint32_t *sent_at;          /* microseconds since the start, + 1 */
static uint32_t *latency;
static uint32_t by_port[2][65536]; /* side, relay's port -> flow + 1 */
static uint64_t sent, received, timed, wrong, unsent;
static int shares;
static int sockets[2];
static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_data[BATCH], in_data[BATCH];
static struct sockaddr_in out_name[BATCH], in_name[BATCH];
static uint8_t in_bytes[BATCH][SIZE];
static char in_stamp[BATCH][STAMP];

static uint64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }

static void open_sockets(void) {
    for (int side = 0; side < 2; side++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(plan->port[side]), .sin_addr.s_addr = plan->address[side]};
        int size = 32 << 20, on = 1;
        sockets[side] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (setsockopt(sockets[side], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
            setsockopt(sockets[side], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        setsockopt(sockets[side], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        if (bind(sockets[side], (struct sockaddr *)&own, sizeof own)) { perror("bind"); exit(1); }
    }
}

static void check(int side, uint32_t time_us, struct sockaddr_in *source, uint8_t *data, uint32_t size) {
    uint32_t index = by_port[side][ntohs(source->sin_port)];
    if (!index || size < 12) { wrong++; return; }
    struct flow *flow = flows + --index;
    uint32_t number = (((data[2] << 8 | data[3]) - plan->first_sequence) & 0xffff);
    size_t slot = (size_t)index * plan->packets + number;
    if (number >= plan->packets || source->sin_addr.s_addr != flow->from_address || size != flow->expect_size
        || !sent_at[slot] || memcmp(data, expecting[index] + (size_t)number * size, size)) { wrong++; return; }
    received++;
    if (sent_at[slot] > BEGINNING_US) latency[timed++] = time_us - (sent_at[slot] - 1);
    sent_at[slot] = 0;
}

/* When the kernel got it. */
static uint64_t stamp_ns(struct msghdr *message) {
    struct cmsghdr *one = CMSG_FIRSTHDR(message);
    struct timespec t;
    if (!one || one->cmsg_type != SO_TIMESTAMPNS) return now_ns();
    memcpy(&t, CMSG_DATA(one), sizeof t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void receive(uint64_t start) {
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < BATCH; i++) {
            in[i].msg_hdr.msg_namelen = sizeof in_name[i];
            in[i].msg_hdr.msg_control = in_stamp[i], in[i].msg_hdr.msg_controllen = STAMP;
        }
        int count = recvmmsg(sockets[side], in, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) check(side, (stamp_ns(&in[i].msg_hdr) - start) / 1000, &in_name[i], in_bytes[i], in[i].msg_len);
    }
}

static void send_batch(int side, int count) {
    int done = 0;
    while (done < count) {
        int some = sendmmsg(sockets[side], out + done, count - done, 0);
        if (some <= 0) { unsent += count - done; break; }
        done += some;
    }
}

/* Flow i's packet n is due at n * interval + i * interval / flows: one number counts them all. */
static void run(uint64_t start) {
    uint64_t total = (uint64_t)plan->flows * plan->packets, next = 0;
    double step = plan->interval_us * 1000.0 / plan->flows;
    while (next < total) {
        uint64_t due = (now_ns() - start) / step, limit = due + 1 < total ? due + 1 : total;
        while (next < limit) {
            int side = flows[next % plan->flows].side, count = 0;
            uint32_t time_us = (now_ns() - start) / 1000 + 1;
            while (next < limit && count < BATCH && flows[next % plan->flows].side == side) {
                uint32_t index = next % plan->flows, number = next / plan->flows;
                struct flow *flow = flows + index;
                out_data[count].iov_base = sending[index] + (size_t)number * flow->send_size;
                out_data[count].iov_len = flow->send_size;
                out_name[count] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(flow->to_port), .sin_addr.s_addr = flow->to_address};
                sent_at[(size_t)index * plan->packets + number] = time_us;
                count++, next++;
            }
            send_batch(side, count);
            sent += count;
        }
        receive(start);
        uint64_t now = now_ns(), at = start + (uint64_t)((next + 1) * step);
        if (shares && next < total && at > now + NAP_NS) nanosleep(&(struct timespec){0, at - now - NAP_NS / 2}, NULL);
    }
    for (uint64_t end = now_ns() + 300000000ull; now_ns() < end; nanosleep(&(struct timespec){0, NAP_NS}, NULL)) receive(start);
}

static int ascending(const void *a, const void *b) { return *(uint32_t *)a < *(uint32_t *)b ? -1 : *(uint32_t *)a > *(uint32_t *)b; }

int main(int count, char **words) {
    struct stat about;
    int file = count > 1 ? open(words[1], O_RDONLY) : -1;
    if (file < 0 || fstat(file, &about)) { perror("plan"); return 1; }
    uint8_t *data = mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    plan = (struct plan *)data;
    flows = (struct flow *)(plan + 1);
    uint8_t *at = (uint8_t *)(flows + plan->flows);
    sending = calloc(plan->flows, sizeof *sending);
    expecting = calloc(plan->flows, sizeof *expecting);
    for (uint32_t i = 0; i < plan->flows; i++) sending[i] = at, at += (size_t)flows[i].send_size * plan->packets;
    for (uint32_t i = 0; i < plan->flows; i++) {
        expecting[i] = at, at += (size_t)flows[i].expect_size * plan->packets;
        by_port[1 - flows[i].side][flows[i].from_port] = i + 1;
    }
    sent_at = calloc((size_t)plan->flows * plan->packets, sizeof *sent_at);
    latency = calloc((size_t)plan->flows * plan->packets + 1, sizeof *latency);
    for (int i = 0; i < BATCH; i++) {
        out[i].msg_hdr = (struct msghdr){.msg_name = &out_name[i], .msg_namelen = sizeof out_name[i], .msg_iov = &out_data[i], .msg_iovlen = 1};
        in_data[i] = (struct iovec){in_bytes[i], SIZE};
        in[i].msg_hdr = (struct msghdr){.msg_name = &in_name[i], .msg_iov = &in_data[i], .msg_iovlen = 1};
    }
    shares = count > 2 && !strcmp(words[2], "share");
    prctl(PR_SET_TIMERSLACK, 1000ul);
    open_sockets();
    run(now_ns());
    qsort(latency, timed, sizeof *latency, ascending);
    printf("{\"sent\": %lu, \"received\": %lu, \"wrong\": %lu, \"unsent\": %lu, \"p50\": %u, \"p99\": %u}\n",
           sent, received, wrong, unsent, timed ? latency[timed / 2] : 0, timed ? latency[timed * 99 / 100] : 0);
    return 0;
}
