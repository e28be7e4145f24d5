#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_at_gate(void *nothing) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  return nothing;
}

int ch_can_start_threads(int count) {
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  int started = 0, failure = threads ? 0 : ENOMEM;
  pthread_mutex_lock(&gate);
  while (failure == 0 && started < count) {
    failure = pthread_create(&threads[started], NULL, wait_at_gate, NULL);
    if (failure == 0) started++;
  }
  pthread_mutex_unlock(&gate);
  for (int at = 0; at < started; at++) pthread_join(threads[at], NULL);
  free(threads);
  return failure;
}
