#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "CBench.h"

// The least that a server on a Unix socket can do: read, write the same.

enum { ROOM = 1 << 18, EVENTS_MAX = 256 };

struct peer {
  int descriptor;
  uint8_t *waiting;  // what its socket had no room for
  size_t at, count;
};

static void watch(int epoll, struct peer *peer, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = peer};
  epoll_ctl(epoll, EPOLL_CTL_MOD, peer->descriptor, &event);
}

static void end(struct peer *peer) {
  close(peer->descriptor);
  free(peer->waiting);
  free(peer);
}

/// Sends what waits; reads on only once all of it is gone.
static void send_waiting(int epoll, struct peer *peer) {
  while (peer->count > 0) {
    ssize_t sent = write(peer->descriptor, peer->waiting + peer->at, peer->count);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return end(peer);
    peer->at += (size_t)sent;
    peer->count -= (size_t)sent;
  }
  peer->at = 0;
  watch(epoll, peer, EPOLLIN);
}

static void answer(int epoll, struct peer *peer, uint8_t *room) {
  ssize_t got = read(peer->descriptor, room, ROOM);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end(peer);
  ssize_t sent = write(peer->descriptor, room, (size_t)got);
  if (sent == got) return;
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return end(peer);
  size_t done = sent < 0 ? 0 : (size_t)sent;
  if (peer->waiting == NULL) peer->waiting = malloc(ROOM);
  peer->count = (size_t)got - done;
  memcpy(peer->waiting, room + done, peer->count);
  watch(epoll, peer, EPOLLOUT);
}

static void accept_all(int epoll, int listener) {
  for (;;) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    struct peer *peer = calloc(1, sizeof *peer);
    peer->descriptor = descriptor;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
  }
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  memcpy(address.sun_path, path, strlen(path));
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0) return -1;
  return listen(listener, 1024) < 0 ? -1 : listener;
}

int ch_echo_serve(const char *path, int until) {
  struct peer listening, input = {.descriptor = until};
  signal(SIGPIPE, SIG_IGN);
  listening.descriptor = listen_at(path);
  if (listening.descriptor < 0) return -1;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listening};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listening.descriptor, &event);
  event.data.ptr = &input;
  epoll_ctl(epoll, EPOLL_CTL_ADD, input.descriptor, &event);
  uint8_t *room = malloc(ROOM);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
      struct peer *peer = events[i].data.ptr;
      if (peer == &input) return close(listening.descriptor);
      if (peer == &listening) accept_all(epoll, listening.descriptor);
      else if (events[i].events & EPOLLOUT) send_waiting(epoll, peer);
      else answer(epoll, peer, room);
    }
  }
}
