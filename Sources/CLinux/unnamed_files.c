#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void path_of(int fd, char *path, size_t capacity) { snprintf(path, capacity, "/proc/self/fd/%d", fd); }

int ch_open_unnamed(int directory, unsigned mode) {
  char path[32];
  int fd = openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  if (fd < 0) return -1;
  path_of(fd, path, sizeof path);
  // Without /proc it could be written, and never be named.
  if (access(path, F_OK) == 0) return fd;
  close(fd);
  return -1;
}

int ch_name_unnamed(int fd, int directory, const char *name) {
  char path[32];
  path_of(fd, path, sizeof path);
  return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW);
}

// What a signal's handler may read: written whole before `is_set`.
static struct {
  atomic_int is_taken, is_set;
  int directory;
  char name[NAME_MAX + 1];
} places[CH_REMOVED_AT_SIGNALS_MAX];

static void remove_and_end(int number) {
  for (int at = 0; at < CH_REMOVED_AT_SIGNALS_MAX; at++)
    if (atomic_load(&places[at].is_set)) unlinkat(places[at].directory, places[at].name, 0);
  // Comes when this returns, for until then it is blocked: the process ends as if there were no handler.
  signal(number, SIG_DFL);
  raise(number);
}

static void handle_signals(void) {
  static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) {
    struct sigaction now, wanted = {.sa_handler = remove_and_end};
    sigemptyset(&wanted.sa_mask);
    if (sigaction(numbers[at], NULL, &now) == 0 && now.sa_handler == SIG_DFL) sigaction(numbers[at], &wanted, NULL);
  }
}

int ch_remove_at_signal(int directory, const char *name) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (strlen(name) > NAME_MAX) return -1;
  for (int at = 0; at < CH_REMOVED_AT_SIGNALS_MAX; at++) {
    int is_free = 0;
    if (!atomic_compare_exchange_strong(&places[at].is_taken, &is_free, 1)) continue;
    places[at].directory = directory;
    strcpy(places[at].name, name);
    atomic_store(&places[at].is_set, 1);
    pthread_once(&once, handle_signals);
    return at;
  }
  return -1;
}

void ch_keep_at_signal(int number) {
  if (number < 0) return;
  atomic_store(&places[number].is_set, 0);
  atomic_store(&places[number].is_taken, 0);
}
