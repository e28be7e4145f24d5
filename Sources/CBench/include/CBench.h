#pragma once
// The load generator and the echo floor of chatelaine-bench: one thread each, on epoll, cheap enough to measure with.
#include <stddef.h>
#include <stdint.h>

enum ch_protocol {
  CH_TTRPC = 0,  // a reply names its request's stream, and its status is good
  CH_ECHO = 1,   // a reply is the request
  CH_HTTP = 2,   // a reply is HTTP/1.1 200 with a Content-Length; replies come in the order of requests
};

/// Connections to one server, kept over many runs.
struct ch_load;

struct ch_run {
  double seconds;
  /// Requests a second, sent when they are due whether replies came or not; 0: a new request for each reply.
  double rate;
};

struct ch_result {
  size_t count;         // replies, each checked
  double seconds;       // from the first request to the last reply
  double own_cpu_seconds;
  const uint64_t *latencies;  // nanoseconds, `count` of them, valid until the next run
  const uint8_t *sample;      // the last reply's bytes after its header, for a closer look
  size_t sample_count;
};

/// Requests, whole with their headers: `count` of them by turns, one behind the other, each of `byte_count` bytes.
struct ch_frames {
  const uint8_t *bytes;
  size_t byte_count, count;
};

/// Connects `connections` sockets, each with up to `depth` requests under way. NULL where it cannot, with the reason in
/// `ch_load_failure`.
struct ch_load *ch_load_open(
    const char *path, enum ch_protocol protocol, int connections, int depth, struct ch_frames frames);

/// Sends for so long, then waits for what is under way. 0, or -1 with the reason in `ch_load_failure`.
int ch_load_run(struct ch_load *load, struct ch_run run, struct ch_result *result);

/// As if each connection had only `count` stream numbers left. One that has used all of them is replaced by a new one.
void ch_load_leave_streams(struct ch_load *load, uint32_t count);

void ch_load_close(struct ch_load *load);

/// Why the last call failed.
const char *ch_load_failure(void);

/// Sends back what comes in on a Unix socket at `path`, until there is something to read from the pipe `until`, or its
/// end. -1 where it cannot listen.
int ch_echo_serve(const char *path, int until);
