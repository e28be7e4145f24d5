#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

int ch_hold_standard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // Those below are open, so this is the lowest that is free.
    if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) return -1;
  }
  return 0;
}

void ch_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

long ch_link_count(int fd) {
  // Not fstat: since Linux 6.13 whoever asks for a file's times makes its next write change them, which the
  // next fdatasync has to journal: 60 us a commit.
  struct statx status;
  int asked = statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &status);
  return asked == 0 ? (long)status.stx_nlink : -1;
}

int ch_is_regular(int fd) {
  struct statx status;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &status) != 0) return -1;
  return S_ISREG(status.stx_mode);
}

static unsigned sector_bytes_at(unsigned major_no, unsigned minor_no, const char *below) {
  char path[128];
  unsigned bytes = 0;
  snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%squeue/physical_block_size", major_no, minor_no, below);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  if (fscanf(file, "%u", &bytes) != 1) bytes = 0;
  fclose(file);
  return bytes;
}

unsigned ch_physical_sector_bytes(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return 0;
  unsigned high = major(status.st_dev), low = minor(status.st_dev);
  unsigned bytes = sector_bytes_at(high, low, "");
  return bytes ? bytes : sector_bytes_at(high, low, "../");
}

int ch_lock_exclusively(int fd) { return flock(fd, LOCK_EX | LOCK_NB); }

int ch_is_open_for_writing(int fd) {
  struct statfs disk;
  if (fstatfs(fd, &disk) != 0) return -1;
  // NFS and SMB say EAGAIN also where they have no delegation or oplock of the server to base a lease on.
  switch ((unsigned long)disk.f_type & 0xffffffffUL) {
  case 0x6969UL:
  case 0x517bUL:
  case 0xff534d42UL:
  case 0xfe534d42UL: errno = EOPNOTSUPP; return -1;
  }
  // Whoever breaks the lease makes the kernel send a signal: one that ends nobody.
  fcntl(fd, F_SETSIG, SIGURG);
  if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN ? 1 : -1;
  fcntl(fd, F_SETLEASE, F_UNLCK);
  return 0;
}

int ch_is_at(int fd, int directory, const char *name) {
  struct statx held, found;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &held) != 0) return 0;
  if (statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_INO, &found) != 0) return 0;
  return held.stx_ino == found.stx_ino && held.stx_dev_major == found.stx_dev_major &&
         held.stx_dev_minor == found.stx_dev_minor;
}

int ch_owner_and_mode(int directory, const char *name, unsigned *owner, unsigned *mode) {
  struct statx status;
  // Not fstat, as above.
  int flags = AT_SYMLINK_NOFOLLOW | (name[0] == 0 ? AT_EMPTY_PATH : 0);
  if (statx(directory, name, flags, STATX_UID | STATX_MODE | STATX_TYPE, &status) != 0) return -1;
  *owner = status.stx_uid;
  *mode = status.stx_mode;
  return 0;
}

// Who holds a lock of a kind ("FLOCK", "POSIX") on a file, from a byte of it where `start` is not -1, and is not `except`;
// 0 for nobody that is seen.
static int lock_holder(const struct statx *file, const char *kind, int start, int except) {
  FILE *locks = fopen("/proc/locks", "re");
  if (locks == NULL) return 0;
  char line[256];
  int holder = 0;
  while (holder == 0 && fgets(line, sizeof line, locks) != NULL) {
    char found[8];
    int pid = 0, from = 0;
    unsigned major_no = 0, minor_no = 0;
    unsigned long long inode = 0;
    // Who only waits for a lock has an arrow in front of the word.
    int read = sscanf(line, "%*d: %7s %*s %*s %d %x:%x:%llu %d", found, &pid, &major_no, &minor_no, &inode, &from);
    int is_it = read == 6 && strcmp(found, kind) == 0 && inode == file->stx_ino && major_no == file->stx_dev_major &&
                minor_no == file->stx_dev_minor && (start < 0 || from == start);
    if (is_it && pid > 0 && pid != except) holder = pid;
  }
  fclose(locks);
  return holder;
}

int ch_lock_holder(int fd) {
  struct statx status;
  return statx(fd, "", AT_EMPTY_PATH, STATX_INO, &status) == 0 ? lock_holder(&status, "FLOCK", -1, 0) : 0;
}

int ch_index_holder(const char *path) {
  enum { DEAD_MAN_SWITCH = 128 };  // the byte of the index that each connection of SQLite's holds
  struct statx status;
  int asked = statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO, &status);
  return asked == 0 ? lock_holder(&status, "POSIX", DEAD_MAN_SWITCH, getpid()) : 0;
}

const char *ch_error_text(int number) {
  const char *text = strerrordesc_np(number);
  return text != NULL ? text : "unknown error";
}

int ch_rename_without_replacing(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int ch_rename_within_without_replacing(int directory, const char *from, const char *to) {
  return renameat2(directory, from, directory, to, RENAME_NOREPLACE);
}

int ch_open_place(int directory, const char *name) {
  return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int ch_open_parent(int directory) { return openat(directory, "..", O_PATH | O_DIRECTORY | O_CLOEXEC); }

int ch_flush_standard_output(void) {
  // why: a print larger than the buffer fails by itself, and leaves nothing for the flush to fail on.
  return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}
