#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

int ch_random(void *bytes, size_t count) {
  uint8_t *at = bytes;
  while (count) {
    ssize_t got = getrandom(at, count, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    at += got;
    count -= (size_t)got;
  }
  return 0;
}

void ch_wipe(void *bytes, size_t count) {
#ifdef CHATELAINE_TEST_UNWIPED
  (void)bytes, (void)count;
#else
  if (count) explicit_bzero(bytes, count);
#endif
}

static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static int map_memfd(uint8_t *data, size_t count, unsigned *held) {
  int fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
  if (fd < 0) return -1;
  if (ftruncate(fd, (off_t)count) != 0 ||
      mmap(data, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
    close(fd);
    return -1;
  }
  close(fd);
  *held |= CH_HELD_MEMFD_SECRET | CH_HELD_LOCKED;
  if (madvise(data, count, MADV_DONTFORK) == 0) *held |= CH_HELD_NO_FORK;
  return 0;
}

static int map_anonymous(uint8_t *data, size_t count, int may_be_unlocked, unsigned *held) {
  if (mmap(data, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return -1;
  if (mlock(data, count) == 0)
    *held |= CH_HELD_LOCKED;
  else if (!may_be_unlocked)
    return -1;
  if (madvise(data, count, MADV_WIPEONFORK) == 0) *held |= CH_HELD_NO_FORK;
  return 0;
}

void *ch_secret_map(size_t count, int allow, unsigned *held) {
  size_t guard = page(), whole = count + 2 * guard;
  *held = 0;
  uint8_t *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return NULL;
  uint8_t *data = base + guard;
#ifdef CHATELAINE_TEST_READABLE
  allow &= ~CH_ALLOW_MEMFD_SECRET;
#endif
  if (!(allow & CH_ALLOW_MEMFD_SECRET && map_memfd(data, count, held) == 0) &&
      map_anonymous(data, count, allow & CH_ALLOW_UNLOCKED, held) != 0) {
    int reason = errno;
    munmap(base, whole);
    errno = reason;
    return NULL;
  }
  if (madvise(data, count, MADV_DONTDUMP) == 0) *held |= CH_HELD_NO_DUMP;
  return data;
}

void ch_secret_unmap(void *data, size_t count) {
  size_t guard = page();
  ch_secret_unseal(data, count);
  ch_wipe(data, count);
  munmap((uint8_t *)data - guard, count + 2 * guard);
}

int ch_secret_seal(void *base, size_t count) { return mprotect(base, count, PROT_READ); }
int ch_secret_unseal(void *base, size_t count) { return mprotect(base, count, PROT_READ | PROT_WRITE); }
