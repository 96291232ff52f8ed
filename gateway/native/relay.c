/* The hot path of media in C: packets of locked sources, from socket to socket, and nothing else.
 *
 *   epoll_wait --> a watched Path?  receive, check, unprotect, count, sample, protect, send     (no Python)
 *              --> RTCP among it?   its `control` is called, as gateway/media/worker/streams/rtcp_path.py has it
 *              --> STUN or DTLS?    `control`, too, where a browser is that has it so (RFC 7983); else it is malformed
 *              --> else             the descriptor is given back to the Python loop
 *
 * This is the twin of gateway/media/worker/streams/fastpath.py and of the inner loop of gateway/media/worker/loop.py,
 * which say why; the Python is the specification, and tests/native feed both the same packets. Here is no allocation
 * for a packet, no lock and no decision: addresses, keys and latches are Python's, which makes a Path anew whenever one
 * of them changes. libsrtp's functions come as pointers from pylibsrtp's binding, so there is one libsrtp.
 *
 * One thread: the interpreter's lock is released while packets pass, and taken back for `control`. Another thread that
 * changes the table meanwhile is refused.
 *
 * To read it in ten minutes: the fields of Path (all that is settled about packets of one source), `pass` (one packet),
 * `relay_take` (batches of them, until something is Python's), `measure` (loss and jitter of one packet in 16). What is
 * left is how CPython has types and methods declared. Python makes a Path in media/worker/streams/native_path.py and
 * calls `take` and `watch` in media/worker/native_loop.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define FORM 2             /* native_loop.FORM: changes with the arguments or the meaning of anything here */
#define HEADER_BYTES 12    /* of RTP, RFC 3550 section 5.1 */
#define ROOM_BYTES 128     /* that protection may add: a tag, far less */
#define SAMPLE_MASK 15     /* one packet in 16 is measured: counters.SAMPLE */
#define RESTART 3000       /* a greater jump begins a new sequence: counters._RESTART */
#define MOST_EVENTS 512    /* loop.MAXIMUM_EVENTS */
#define ENOUGH_EVENTS 32   /* a batch that needs no gathering: loop.ENOUGH_EVENTS */

/* srtp_protect and srtp_unprotect of libsrtp 2 (srtp.h): 0, or a status. */
typedef int (*Transform)(void *context, void *packet, int *length);
enum { AUTH_FAIL = 7, REPLAY_FAIL = 9, REPLAY_OLD = 10, PACKET_INDEX_OLD = 26 };

/* Kinds of packets by their first two bytes. RTP and RTCP both have version 2. */
static int is_version_2(const uint8_t *packet) { return packet[0] >> 6 == 2; }                     /* RFC 3550 section 5.1 */
static int is_rtcp(const uint8_t *packet) { return packet[1] >= 192 && packet[1] <= 223; }         /* RFC 5761 section 4 */
static int is_stun_or_dtls(const uint8_t *packet) { return packet[0] <= 63; }                      /* RFC 7983 section 7 */

/* ---- Counts: what Python's Counters has for each packet, as plain numbers that both languages change ---- */

typedef struct {
    PyObject_HEAD
    long long packets, bytes, authentication, replay, other, malformed, interrupted, undelivered, unsent;
    long long ssrc, sequence, span, base_packets, lost, lost_before;
    double transit, jitter;
} Counts;

#define COUNT(name) {#name, T_LONGLONG, offsetof(Counts, name), 0, NULL}
static PyMemberDef counts_members[] = {
    COUNT(packets), COUNT(bytes), COUNT(authentication), COUNT(replay), COUNT(other), COUNT(malformed),
    COUNT(interrupted), COUNT(undelivered), COUNT(unsent), COUNT(ssrc), COUNT(sequence), COUNT(span),
    COUNT(base_packets), COUNT(lost), COUNT(lost_before),
    {"transit", T_DOUBLE, offsetof(Counts, transit), 0, NULL},
    {"jitter", T_DOUBLE, offsetof(Counts, jitter), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject CountsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "gateway.native.relay.Counts",
    .tp_doc = "Counters of one direction of a stream.",
    .tp_basicsize = sizeof(Counts),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_members = counts_members,
    .tp_new = PyType_GenericNew,
};

/* Loss and jitter from the RTP packet that was just counted: Counters.measure (RFC 3550 A.3 and 6.4.1). */
static void measure(Counts *counts, const uint8_t *packet, int length, double now, int clock_rate)
{
    if (length < HEADER_BYTES || !is_version_2(packet))
        return;
    int sequence = packet[2] << 8 | packet[3];
    uint32_t timestamp = (uint32_t)packet[4] << 24 | packet[5] << 16 | packet[6] << 8 | packet[7];
    uint32_t ssrc = (uint32_t)packet[8] << 24 | packet[9] << 16 | packet[10] << 8 | packet[11];
    int distance = ((sequence - (int)counts->sequence + 0x8000) & 0xFFFF) - 0x8000; /* the shorter way around 65,536 */
    if ((long long)ssrc != counts->ssrc || distance <= -RESTART || distance >= RESTART) {
        counts->ssrc = ssrc;
        counts->sequence = sequence;
        counts->span = 0;
        counts->base_packets = counts->packets - 1;
        counts->lost_before = counts->lost;
        counts->transit = 0.0;
        distance = 0;
    }
    if (distance >= 0) {
        counts->span += distance;
        counts->sequence = sequence;
        long long lost = counts->span + 1 - counts->packets + counts->base_packets;
        counts->lost = counts->lost_before + (lost > 0 ? lost : 0);
    }
    double transit = now * clock_rate - timestamp;
    if (distance != 0 && counts->transit != 0.0) {
        double difference = transit > counts->transit ? transit - counts->transit : counts->transit - transit;
        if (difference < clock_rate)
            counts->jitter += (difference - counts->jitter) / 16;
    }
    counts->transit = transit;
}

/* ---- Clock: the time of the current batch, of which both languages know ---- */

typedef struct {
    PyObject_HEAD
    double now;
} Clock;

static PyMemberDef clock_members[] = {
    {"now", T_DOUBLE, offsetof(Clock, now), 0, "Seconds of CLOCK_MONOTONIC, as time.monotonic has them."},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject ClockType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "gateway.native.relay.Clock",
    .tp_doc = "The time of the current batch of packets.",
    .tp_basicsize = sizeof(Clock),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_members = clock_members,
    .tp_new = PyType_GenericNew,
};

static double monotonic(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* ---- Path: the way of packets of one locked source, settled until something about it changes ---- */

typedef struct {
    PyObject_HEAD
    Counts *counts, *peer;          /* of the sender's end, and of the receiver's */
    void *opening, *sealing;        /* libsrtp's contexts; NULL: plain RTP */
    int clock_rate;
    int target;                     /* descriptor to send by; negative: the receiver is held, nothing is sent */
    socklen_t address_bytes;        /* 0: target is connected */
    struct sockaddr_storage address;
    int is_mixed;                   /* STUN and DTLS come from there as well, and are for `control` */
    PyObject *control;              /* called with the length of a packet in the memory that is no RTP */
    PyObject *kept;                 /* owners of the contexts, alive as long as this is */
} Path;

static int path_init(Path *self, PyObject *positional, PyObject *named)
{
    static char *names[] = {"counts", "peer", "opening", "sealing", "clock_rate", "target", "address", "control", "kept", "is_mixed", NULL};
    unsigned long long opening, sealing;
    PyObject *counts, *peer, *control, *kept;
    const char *address;
    Py_ssize_t address_bytes;
    int clock_rate, target, is_mixed;
    if (self->counts != NULL) {
        PyErr_SetString(PyExc_TypeError, "a path is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(positional, named, "O!O!KKiiy#OOp:Path", names, &CountsType, &counts, &CountsType,
                                     &peer, &opening, &sealing, &clock_rate, &target, &address, &address_bytes, &control,
                                     &kept, &is_mixed))
        return -1;
    if ((size_t)address_bytes > sizeof self->address || (address_bytes > 0 && address_bytes < (Py_ssize_t)sizeof(sa_family_t))) {
        PyErr_SetString(PyExc_ValueError, "this is no socket address");
        return -1;
    }
    memcpy(&self->address, address, (size_t)address_bytes);
    self->address_bytes = (socklen_t)address_bytes;
    self->opening = (void *)(uintptr_t)opening;
    self->sealing = (void *)(uintptr_t)sealing;
    self->clock_rate = clock_rate;
    self->target = target;
    self->is_mixed = is_mixed;
    self->counts = (Counts *)Py_NewRef(counts);
    self->peer = (Counts *)Py_NewRef(peer);
    self->control = Py_NewRef(control);
    self->kept = Py_NewRef(kept);
    return 0;
}

static void path_dealloc(Path *self)
{
    Py_XDECREF(self->counts);
    Py_XDECREF(self->peer);
    Py_XDECREF(self->control);
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject PathType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "gateway.native.relay.Path",
    .tp_doc = "The way of packets of one locked source to the other party.",
    .tp_basicsize = sizeof(Path),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)path_init,
    .tp_dealloc = (destructor)path_dealloc,
};

/* ---- Relay: the memory of one packet, the table of paths, and the batches ---- */

typedef struct {
    PyObject_HEAD
    int poll;                       /* descriptor of the epoll, which is Python's */
    Clock *clock;
    Py_buffer memory;
    int longest;                    /* bytes that a packet may have; one more is read, to tell one that was cut */
    Transform protect, unprotect;
    Path **paths;                   /* by descriptor */
    int room;                       /* of paths */
    int is_busy;                    /* packets are passing: the table stands still */
    int batch, first;               /* of the last batch: its events, and its first descriptor */
    int is_behind;                  /* that was the first of the batch before, too: packets are queued */
    long long events;               /* since Python set it to 0 */
    struct epoll_event ready[MOST_EVENTS];
} Relay;

static PyMemberDef relay_members[] = {
    {"batch", T_INT, offsetof(Relay, batch), READONLY, "Events of the last batch."},
    {"events", T_LONGLONG, offsetof(Relay, events), 0, "Events since it was set to 0."},
    {NULL, 0, 0, 0, NULL},
};

static void count_failure(Counts *counts, int status)
{
    if (status == AUTH_FAIL)
        counts->authentication++;
    else if (status == REPLAY_FAIL || status == REPLAY_OLD || status == PACKET_INDEX_OLD)
        counts->replay++;
    else
        counts->other++;
}

/* One packet of a path: read it, and send it on or count why not. The length of one that is for `control`, which has it
 * in the memory as it came; else 0. */
static int pass(Relay *relay, Path *path, int descriptor)
{
    uint8_t *packet = relay->memory.buf;
    Counts *counts = path->counts;
    ssize_t received = recv(descriptor, packet, (size_t)relay->longest + 1, MSG_DONTWAIT);
    if (received < 0) { /* refused by the far host (ICMP), or already read */
        counts->interrupted++;
        return 0;
    }
    int is_whole = received >= HEADER_BYTES && received <= relay->longest;
    if (!is_whole || !is_version_2(packet)) {
        if (is_whole && path->is_mixed && is_stun_or_dtls(packet))
            return (int)received;
        counts->malformed++;
        return 0;
    }
    if (is_rtcp(packet))
        return (int)received;
    int length = (int)received; /* changes with what protection takes and adds; `received` is what came */
    if (path->opening != NULL) {
        int status = relay->unprotect(path->opening, packet, &length);
        if (status != 0) {
            count_failure(counts, status);
            return 0;
        }
    }
    counts->bytes += received;
    counts->packets++;
    if ((counts->packets & SAMPLE_MASK) == 0)
        measure(counts, packet, length, relay->clock->now, path->clock_rate);
    if (path->sealing != NULL && relay->protect(path->sealing, packet, &length) != 0) {
        path->peer->undelivered++;
        return 0;
    }
    if (path->target < 0)
        return 0;
    const struct sockaddr *to = path->address_bytes > 0 ? (const struct sockaddr *)&path->address : NULL;
    if (sendto(path->target, packet, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL, to, path->address_bytes) < 0)
        path->peer->unsent++; /* its queue is full, or the far host refused an earlier one */
    return 0;
}

/* Call the path's `control` with the interpreter's lock, which `thread` is without. */
static void call_control(Relay *relay, Path *path, int length, PyThreadState **thread)
{
    PyEval_RestoreThread(*thread);
    relay->is_busy = 0;
    Py_INCREF(path); /* it may be taken from the table by its own control */
    PyObject *result = PyObject_CallFunction(path->control, "i", length);
    if (result == NULL)
        PyErr_WriteUnraisable(path->control);
    Py_XDECREF(result);
    Py_DECREF(path);
    relay->is_busy = 1;
    *thread = PyEval_SaveThread();
}

/* Wait for a batch; the number of its events, or -1 with an exception for a handler of a signal that raised. */
static int wait_for_batch(Relay *relay, double until, PyThreadState **thread)
{
    for (;;) {
        double left = until - monotonic();
        int milliseconds = left > 0 ? (int)(left * 1e3 + 0.999) : 0; /* rounded up: rather late than in a spin */
        int ready = epoll_wait(relay->poll, relay->ready, MOST_EVENTS, milliseconds);
        if (ready >= 0)
            return ready;
        int error = errno;
        PyEval_RestoreThread(*thread);
        if (error != EINTR) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
        }
        int has_failed = error != EINTR || PyErr_CheckSignals() < 0;
        *thread = PyEval_SaveThread();
        if (has_failed)
            return -1;
    }
}

PyDoc_STRVAR(take_doc,
             "take(until, gather, once): pass packets until the clock is `until`, or something is Python's to do.\n\n"
             "Gives the ready descriptors that no path is watched for, each once. `gather` in seconds: how long packets\n"
             "gather before a wait, 0 for not at all; `once`: for one batch, without waiting.");

static PyObject *relay_take(Relay *self, PyObject *arguments)
{
    double until, gather;
    int once, others = 0, other[MOST_EVENTS]; /* descriptors that Python gets back */
    if (!PyArg_ParseTuple(arguments, "ddp:take", &until, &gather, &once))
        return NULL;
    if (!(gather >= 0 && gather < 1)) {
        PyErr_SetString(PyExc_ValueError, "gather: less than a second");
        return NULL;
    }
    if (self->is_busy || self->clock == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "packets are passing already, or the relay was never made");
        return NULL;
    }
    const struct timespec pause = {0, (long)(gather * 1e9)};
    self->is_busy = 1;
    PyThreadState *thread = PyEval_SaveThread();
    int ready, has_called = 0;
    do {
        if (gather > 0 && self->batch < ENOUGH_EVENTS && !self->is_behind)
            nanosleep(&pause, NULL);
        ready = wait_for_batch(self, once ? 0.0 : until, &thread);
        if (ready < 0)
            break;
        self->clock->now = monotonic();
        for (int index = 0; index < ready; index++) {
            int descriptor = self->ready[index].data.fd; /* as Python's select.epoll registers it */
            Path *path = descriptor >= 0 && descriptor < self->room ? self->paths[descriptor] : NULL;
            if (path == NULL) {
                other[others++] = descriptor;
                continue;
            }
            int control_length = pass(self, path, descriptor);
            if (control_length > 0) {
                call_control(self, path, control_length, &thread);
                has_called = 1;
            }
        }
        self->batch = ready;
        self->events += ready;
        if (ready > 0) { /* gathering would hold packets that are queued */
            self->is_behind = self->ready[0].data.fd == self->first;
            self->first = self->ready[0].data.fd;
        }
    } while (others == 0 && !has_called && !once && self->clock->now < until);
    PyEval_RestoreThread(thread);
    self->is_busy = 0;
    if (ready < 0)
        return NULL;
    PyObject *list = PyList_New(others);
    for (int index = 0; list != NULL && index < others; index++) {
        PyObject *number = PyLong_FromLong(other[index]);
        if (number == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, index, number);
    }
    return list;
}

PyDoc_STRVAR(watch_doc, "watch(descriptor, path): pass its packets from now on; None: give it back to Python.");

static PyObject *relay_watch(Relay *self, PyObject *arguments)
{
    int descriptor;
    PyObject *path;
    if (!PyArg_ParseTuple(arguments, "iO:watch", &descriptor, &path))
        return NULL;
    if (self->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "packets are passing: only their thread changes the table");
        return NULL;
    }
    if (path != Py_None && !PyObject_TypeCheck(path, &PathType)) {
        PyErr_SetString(PyExc_TypeError, "a Path or None is watched");
        return NULL;
    }
    if (path != Py_None && ((Path *)path)->counts == NULL) {
        PyErr_SetString(PyExc_ValueError, "this path was never made");
        return NULL;
    }
    if (descriptor < 0 || descriptor > 1 << 24) {
        PyErr_SetString(PyExc_ValueError, "this is no descriptor");
        return NULL;
    }
    if (descriptor >= self->room) {
        if (path == Py_None)
            Py_RETURN_NONE;
        int room = (descriptor | 255) + 1;
        Path **paths = PyMem_Realloc(self->paths, (size_t)room * sizeof *paths);
        if (paths == NULL)
            return PyErr_NoMemory();
        memset(paths + self->room, 0, (size_t)(room - self->room) * sizeof *paths);
        self->paths = paths;
        self->room = room;
    }
    Path *before = self->paths[descriptor];
    self->paths[descriptor] = path == Py_None ? NULL : (Path *)Py_NewRef(path);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static int relay_init(Relay *self, PyObject *positional, PyObject *named)
{
    static char *names[] = {"poll", "clock", "memory", "longest", "protect", "unprotect", NULL};
    unsigned long long protect, unprotect;
    PyObject *clock, *memory;
    if (self->clock != NULL) {
        PyErr_SetString(PyExc_TypeError, "a relay is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(positional, named, "iO!OiKK:Relay", names, &self->poll, &ClockType, &clock, &memory,
                                     &self->longest, &protect, &unprotect))
        return -1;
    if (PyObject_GetBuffer(memory, &self->memory, PyBUF_WRITABLE) < 0)
        return -1;
    if (self->longest < HEADER_BYTES || self->memory.len < (Py_ssize_t)self->longest + 1 + ROOM_BYTES || protect == 0 || unprotect == 0) {
        PyBuffer_Release(&self->memory);
        PyErr_SetString(PyExc_ValueError, "the memory is too small for a packet and its tag, or a function is missing");
        return -1;
    }
    self->protect = (Transform)(uintptr_t)protect;
    self->unprotect = (Transform)(uintptr_t)unprotect;
    self->first = -1;
    self->clock = (Clock *)Py_NewRef(clock);
    return 0;
}

static void relay_dealloc(Relay *self)
{
    for (int descriptor = 0; descriptor < self->room; descriptor++)
        Py_XDECREF(self->paths[descriptor]);
    PyMem_Free(self->paths);
    if (self->clock != NULL)
        PyBuffer_Release(&self->memory);
    Py_XDECREF(self->clock);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef relay_methods[] = {
    {"watch", (PyCFunction)relay_watch, METH_VARARGS, watch_doc},
    {"take", (PyCFunction)relay_take, METH_VARARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject RelayType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "gateway.native.relay.Relay",
    .tp_doc = "Takes the events of an epoll, and passes the packets of the paths that it watches.",
    .tp_basicsize = sizeof(Relay),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_members = relay_members,
    .tp_methods = relay_methods,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)relay_init,
    .tp_dealloc = (destructor)relay_dealloc,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "gateway.native.relay",
    .m_doc = "The hot path of media in C; its twin in Python is gateway/media/worker/streams/fastpath.py.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_relay(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyModule_AddIntConstant(made, "FORM", FORM) < 0 || PyModule_AddType(made, &CountsType) < 0 || PyModule_AddType(made, &ClockType) < 0 ||
        PyModule_AddType(made, &PathType) < 0 || PyModule_AddType(made, &RelayType) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
