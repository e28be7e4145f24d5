// Kills its process just before the n-th call that changes a file: LD_PRELOAD it, with KILLER naming a file of 16 bytes.
//
// Two numbers in that file, shared with who tests: the limit (0: nothing is counted), and how many calls there were.
// Counted are write and pwrite on regular files, fsync, fdatasync, ftruncate, rename and unlink, of all threads.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct shared {
  _Atomic int64_t limit, count;
};

static struct shared *shared;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("KILLER");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *page = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page != MAP_FAILED) shared = page;
  close(fd);
}

static void step(void) {
  int64_t limit = shared ? atomic_load(&shared->limit) : 0;
  if (limit > 0 && atomic_fetch_add(&shared->count, 1) + 1 == limit) kill(getpid(), SIGKILL);
}

static int is_file(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(ssize_t, "write", int, const void *, size_t);
  if (shared && is_file(fd)) step();
  return real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  step();
  return real(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  step();
  return real(fd, bytes, count, offset);
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  step();
  return real(fd);
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  step();
  return real(fd);
}

int ftruncate(int fd, off_t size) {
  REAL(int, "ftruncate", int, off_t);
  step();
  return real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t);
  step();
  return real(fd, size);
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  step();
  return real(from, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
  step();
  return real(a, from, b, to, flags);
}

int unlinkat(int at, const char *path, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  step();
  return real(at, path, flags);
}
