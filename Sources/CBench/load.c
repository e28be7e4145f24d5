#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "CBench.h"
#include "replies.h"

// Frames lie ready, one in each of a connection's slots; of a frame only the stream's number is written anew. A slot
// is free again once its reply is here, so a slot that is written to has left for the server entirely.

enum {
  LATENCIES_MAX = 1 << 26,
  DRAIN_SECONDS = 20,
  EVENTS_MAX = 256,
  HEADER = 10,
  STREAM_LAST = 0x7fffffff,
};

struct slot {
  uint64_t since;  // when its request was sent, or was due
  uint32_t stream;
  int is_busy;
};

struct connection {
  int descriptor;
  int waits_for_room;
  uint8_t *frames;  // `depth` frames
  struct slot *slots;
  int next, oldest, busy;
  size_t write_at, write_left;  // bytes of `frames`
  uint8_t *in;
  size_t in_count;
  uint32_t stream;
  // Where requests have a time of their own: how many were sent, and how many are due and wait for a free slot.
  uint64_t sent;
  int owed;
};

struct ch_load {
  enum ch_protocol protocol;
  int count, depth, epoll;
  size_t frame_count, in_capacity;
  uint8_t *variants;  // where not all requests are the same
  size_t variant_count, staged;
  struct sockaddr_un address;
  struct connection *connections;
  uint64_t *latencies;
  size_t done;
  int under_way, owed;
  uint64_t arrived;
  struct ch_run run;
  uint64_t start, end, last_reply;
  uint8_t *sample;
  size_t sample_count;
};

static char failure[256];

const char *ch_load_failure(void) { return failure; }

static int fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(failure, sizeof failure, format, list);
  va_end(list);
  return -1;
}

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t now(void) { return nanoseconds(CLOCK_MONOTONIC); }

// MARK: Sending

static void watch(struct ch_load *load, struct connection *connection, int for_room) {
  connection->waits_for_room = for_room;
  struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0), .data.ptr = connection};
  epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
}

static int flush(struct ch_load *load, struct connection *connection) {
  size_t ring = load->frame_count * (size_t)load->depth;
  while (connection->write_left > 0) {
    size_t whole = ring - connection->write_at;
    size_t first = connection->write_left < whole ? connection->write_left : whole;
    struct iovec parts[2] = {
        {connection->frames + connection->write_at, first}, {connection->frames, connection->write_left - first}};
    ssize_t sent = writev(connection->descriptor, parts, parts[1].iov_len > 0 ? 2 : 1);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      if (!connection->waits_for_room) watch(load, connection, 1);
      return 0;
    }
    if (sent < 0) return fail("sending a request: %s", strerror(errno));
    connection->write_at = (connection->write_at + (size_t)sent) % ring;
    connection->write_left -= (size_t)sent;
  }
  if (connection->waits_for_room) watch(load, connection, 0);
  return 0;
}

/// Whether it has no number left that it did not give to a request before.
static int is_used_up(const struct ch_load *load, const struct connection *connection) {
  return load->protocol != CH_HTTP && connection->stream == STREAM_LAST;
}

static int has_room(const struct ch_load *load, const struct connection *connection) {
  return !is_used_up(load, connection) && connection->busy < load->depth && !connection->slots[connection->next].is_busy;
}

/// Puts one request behind those that wait to be written.
static void stage(struct ch_load *load, struct connection *connection, uint64_t since) {
  struct slot *slot = &connection->slots[connection->next];
  uint8_t *frame = connection->frames + load->frame_count * (size_t)connection->next;
  if (load->variant_count > 1) {
    size_t variant = load->staged++ % load->variant_count;
    memcpy(frame, load->variants + load->frame_count * variant, load->frame_count);
  }
  connection->stream = (connection->stream + 2) & STREAM_LAST;
  *slot = (struct slot){.since = since, .stream = connection->stream, .is_busy = 1};
  if (load->protocol != CH_HTTP) put32(frame + 4, slot->stream);
  connection->next = (connection->next + 1) % load->depth;
  connection->busy++;
  connection->write_left += load->frame_count;
  load->under_way++;
}

/// When the request that has this number is due: by turns one on each connection.
static uint64_t due_time(const struct ch_load *load, uint64_t number) {
  return load->start + (uint64_t)((double)number * 1e9 / load->run.rate);
}

static void stage_owed(struct ch_load *load, struct connection *connection) {
  while (connection->owed > 0 && has_room(load, connection)) {
    uint64_t number = connection->sent * (uint64_t)load->count + (uint64_t)(connection - load->connections);
    // why: from when it was due, so that a wait for room counts as a wait for the reply.
    stage(load, connection, due_time(load, number));
    connection->sent++;
    connection->owed--;
    load->owed--;
  }
}

static int connect_socket(struct ch_load *load, struct connection *connection) {
  const struct sockaddr_un *address = &load->address;
  connection->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->descriptor < 0) return fail("socket: %s", strerror(errno));
  if (connect(connection->descriptor, (const struct sockaddr *)address, sizeof *address) < 0)
    return fail("connecting to %s: %s", address->sun_path, strerror(errno));
  connection->stream = 0xffffffff;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (fcntl(connection->descriptor, F_SETFL, O_NONBLOCK) < 0) return fail("fcntl: %s", strerror(errno));
  if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->descriptor, &event) < 0) return fail("epoll: %s", strerror(errno));
  return 0;
}

/// Takes a new connection where the numbers of this one are used up and every reply is here.
static int renew(struct ch_load *load, struct connection *connection) {
  if (!is_used_up(load, connection) || connection->busy > 0) return 0;
  close(connection->descriptor);
  connection->in_count = 0;
  connection->waits_for_room = 0;
  return connect_socket(load, connection);
}

static int send_more(struct ch_load *load, struct connection *connection, uint64_t time) {
  if (renew(load, connection) < 0) return -1;
  if (load->run.rate > 0) stage_owed(load, connection);
  else
    while (time < load->end && has_room(load, connection)) stage(load, connection, time);
  return connection->write_left > 0 && !connection->waits_for_room ? flush(load, connection) : 0;
}

/// Sends what has become due; without a rate, fills every connection.
static int send_due(struct ch_load *load, uint64_t time) {
  if (load->run.rate == 0) {
    for (int i = 0; i < load->count; i++)
      if (send_more(load, &load->connections[i], time) < 0) return -1;
    return 0;
  }
  for (uint64_t due = due_time(load, load->arrived); due <= time && due < load->end;
       due = due_time(load, load->arrived)) {
    struct connection *connection = &load->connections[load->arrived++ % (uint64_t)load->count];
    connection->owed++;
    load->owed++;
    if (send_more(load, connection, time) < 0) return -1;
  }
  return 0;
}

// MARK: Receiving

static struct slot *slot_of(struct ch_load *load, struct connection *connection, uint32_t stream) {
  // why: replies nearly always come in order.
  for (int i = 0; i < load->depth; i++) {
    struct slot *slot = &connection->slots[(connection->oldest + i) % load->depth];
    if (slot->is_busy && (load->protocol == CH_HTTP || slot->stream == stream)) return slot;
  }
  return NULL;
}

static int finish(struct ch_load *load, struct connection *connection, const struct reply *reply, uint64_t time) {
  struct slot *slot = slot_of(load, connection, reply->stream);
  if (slot == NULL) return fail("a reply to a request that is not under way (stream %u)", reply->stream);
  if (load->done >= LATENCIES_MAX) return fail("more replies than a run can hold");
  load->latencies[load->done++] = time - slot->since;
  slot->is_busy = 0;
  connection->busy--;
  load->under_way--;
  while (connection->busy > 0 && !connection->slots[connection->oldest].is_busy)
    connection->oldest = (connection->oldest + 1) % load->depth;
  if (connection->busy == 0) connection->oldest = connection->next;
  load->last_reply = time;
  return 0;
}

static int take_replies(struct ch_load *load, struct connection *connection, uint64_t time) {
  size_t at = 0;
  while (at < connection->in_count) {
    struct reply reply;
    int found = parse_reply(load->protocol, connection->in + at, connection->in_count - at, &reply);
    if (found < 0) return fail("a reply that is no good: %.120s", readable(connection->in + at, connection->in_count - at));
    if (found == 0) break;
    if (finish(load, connection, &reply, time) < 0) return -1;
    if (load->done % 1024 == 1) {
      load->sample_count = reply.body_count;
      memcpy(load->sample, connection->in + at + reply.body_at, reply.body_count);
    }
    at += reply.byte_count;
  }
  memmove(connection->in, connection->in + at, connection->in_count - at);
  connection->in_count -= at;
  return 0;
}

static int receive(struct ch_load *load, struct connection *connection) {
  size_t room = load->in_capacity - connection->in_count;
  ssize_t got = read(connection->descriptor, connection->in + connection->in_count, room);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got < 0) return fail("reading a reply: %s", strerror(errno));
  if (got == 0) return fail("the server closed a connection");
  connection->in_count += (size_t)got;
  uint64_t time = now();
  if (take_replies(load, connection, time) < 0) return -1;
  if (connection->in_count == load->in_capacity) return fail("a reply is longer than expected");
  return send_more(load, connection, time);
}

// MARK: The loop

/// How long to sleep: until the next request is due, where requests have a time of their own.
static struct timespec pause_length(const struct ch_load *load, uint64_t time) {
  uint64_t next = time < load->end ? load->end : time + 100000000;
  uint64_t due = load->run.rate > 0 ? due_time(load, load->arrived) : next;
  if (due < next) next = due;
  uint64_t wait = next > time ? next - time : 0;
  return (struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
}

static int step(struct ch_load *load, uint64_t time) {
  struct epoll_event events[EVENTS_MAX];
  struct timespec pause = pause_length(load, time);
  int count = epoll_pwait2(load->epoll, events, EVENTS_MAX, &pause, NULL);
  if (count < 0 && errno != EINTR) return fail("epoll: %s", strerror(errno));
  for (int i = 0; i < count; i++) {
    struct connection *connection = events[i].data.ptr;
    if (events[i].events & EPOLLOUT && flush(load, connection) < 0) return -1;
    if (events[i].events & ~EPOLLOUT && receive(load, connection) < 0) return -1;
  }
  return 0;
}

/// Begins anew: no request is under way, none is due.
static void begin(struct ch_load *load, struct ch_run run) {
  load->run = run;
  load->done = load->arrived = 0;
  load->owed = 0;
  load->start = load->last_reply = now();
  load->end = load->start + (uint64_t)(run.seconds * 1e9);
  for (int i = 0; i < load->count; i++) load->connections[i].sent = 0;
}

int ch_load_run(struct ch_load *load, struct ch_run run, struct ch_result *result) {
  uint64_t cpu = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  prctl(PR_SET_TIMERSLACK, 1);
  begin(load, run);
  if (send_due(load, load->start) < 0) return -1;
  for (;;) {
    uint64_t time = now();
    // why: also behind the end, for what became due before it while this thread could not run.
    if (run.rate > 0 && send_due(load, time) < 0) return -1;
    if (time >= load->end && load->under_way + load->owed == 0) break;
    if (step(load, time) < 0) return -1;
    if (time > load->end + DRAIN_SECONDS * 1000000000ull) return fail("no reply in %d s", DRAIN_SECONDS);
  }
  *result = (struct ch_result){
      .count = load->done, .seconds = (double)(load->last_reply - load->start) / 1e9,
      .own_cpu_seconds = (double)(nanoseconds(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e9,
      .latencies = load->latencies, .sample = load->sample, .sample_count = load->sample_count};
  return 0;
}

// MARK: Opening and closing

static int open_one(struct ch_load *load, struct connection *connection, const char *path) {
  if (strlen(path) >= sizeof load->address.sun_path) return fail("the path of the socket is too long");
  load->address.sun_family = AF_UNIX;
  memcpy(load->address.sun_path, path, strlen(path));
  if (connect_socket(load, connection) < 0) return -1;
  connection->slots = calloc((size_t)load->depth, sizeof *connection->slots);
  connection->frames = malloc(load->frame_count * (size_t)load->depth);
  connection->in = malloc(load->in_capacity);
  if (!connection->slots || !connection->frames || !connection->in) return fail("no memory");
  for (int i = 0; i < load->depth; i++) memcpy(connection->frames + load->frame_count * (size_t)i, load->variants, load->frame_count);
  return 0;
}

struct ch_load *ch_load_open(
    const char *path, enum ch_protocol protocol, int connections, int depth, struct ch_frames frames) {
  struct ch_load *load = calloc(1, sizeof *load);
  size_t count = frames.byte_count;
  load->variant_count = frames.count;
  load->variants = malloc(count * frames.count);
  memcpy(load->variants, frames.bytes, count * frames.count);
  load->protocol = protocol;
  load->count = connections;
  load->depth = depth;
  load->frame_count = count;
  // why: room for what a socket holds of small replies, and for a whole large one with its base64.
  load->in_capacity = (count * 2 > (1 << 17) ? count * 2 : (1 << 17)) + 4096;
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  load->connections = calloc((size_t)connections, sizeof *load->connections);
  load->sample = malloc(load->in_capacity);
  load->latencies = mmap(NULL, sizeof(uint64_t) * LATENCIES_MAX, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (int i = 0; i < connections; i++) load->connections[i].descriptor = -1;
  for (int i = 0; i < connections; i++) {
    if (open_one(load, &load->connections[i], path) == 0) continue;
    ch_load_close(load);
    return NULL;
  }
  return load;
}

void ch_load_leave_streams(struct ch_load *load, uint32_t count) {
  for (int i = 0; i < load->count; i++) load->connections[i].stream = STREAM_LAST - 2 * count;
}

void ch_load_close(struct ch_load *load) {
  for (int i = 0; i < load->count; i++) {
    struct connection *connection = &load->connections[i];
    if (connection->descriptor >= 0) close(connection->descriptor);
    free(connection->slots);
    free(connection->frames);
    free(connection->in);
  }
  close(load->epoll);
  munmap(load->latencies, sizeof(uint64_t) * LATENCIES_MAX);
  free(load->connections);
  free(load->sample);
  free(load->variants);
  free(load);
}
