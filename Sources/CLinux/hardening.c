#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int crash[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGQUIT, SIGSYS};
#define CRASH_SIGNALS (sizeof crash / sizeof *crash)

int ch_reset_crash_signals(void) {
  int failed = 0;
#ifdef CHATELAINE_TEST_BACKTRACED
  return -1;
#endif
  for (size_t i = 0; i < CRASH_SIGNALS; i++) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    if (sigaction(crash[i], &standard, NULL) != 0) failed = -1;
  }
  return failed;
}

int ch_crash_signals_are_reset(void) {
  for (size_t i = 0; i < CRASH_SIGNALS; i++) {
    struct sigaction now;
    if (sigaction(crash[i], NULL, &now) != 0 || now.sa_handler != SIG_DFL) return 0;
  }
  return 1;
}

int ch_set_not_dumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
int ch_is_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }
int ch_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
int ch_no_new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }

int ch_set_process_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }

int ch_forbid_core_files(void) {
  struct rlimit none = {0, 0};
  return setrlimit(RLIMIT_CORE, &none);
}

int ch_core_files_are_forbidden(void) {
  struct rlimit now;
  return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == 0 && now.rlim_max == 0;
}

unsigned long long ch_memlock_limit(void) {
  struct rlimit now;
  return getrlimit(RLIMIT_MEMLOCK, &now) == 0 ? now.rlim_cur : 0;
}

int ch_can_lock(size_t count) {
  void *pages = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return 0;
  // On fault: the limit is charged for the whole range, no page is touched.
  int locked = (int)syscall(SYS_mlock2, pages, count, MLOCK_ONFAULT) == 0;
  munmap(pages, count);
  return locked;
}

// MARK: Landlock

int ch_landlock_abi(void) {
  long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : (int)abi;
}

#define READ_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
// The 13 rights of ABI 1; later ones are added below where the kernel knows them.
#define ALL_ACCESS_ABI_1 ((1ULL << 13) - 1)
#define ACCESS_REFER (1ULL << 13)
#define ACCESS_TRUNCATE (1ULL << 14)
// New files beside those that are there: written under another name, renamed, or taken away again.
#define ADD_ACCESS \
  (READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

// The rights that mean something for what is no directory: any other makes landlock_add_rule(2)
// fail with EINVAL.
#define FILE_ACCESS \
  (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | ACCESS_TRUNCATE)

static int allow_below(int ruleset, const char *path, uint64_t access) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  struct stat status;
  int result = fstat(fd, &status);
  if (result == 0) {
    struct landlock_path_beneath_attr rule = {
      .allowed_access = S_ISDIR(status.st_mode) ? access : access & FILE_ACCESS, .parent_fd = fd};
    result = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
  int reason = errno;
  close(fd);
  errno = reason;
  return result;
}

int ch_landlock_confine(const char *const *writable, const char *const *addable, const char *const *readable) {
  int abi = ch_landlock_abi();
#ifdef CHATELAINE_TEST_BACKTRACED
  abi = 0;  // the backtracer is a program of its own
#endif
  if (abi < 1) {
    errno = ENOSYS;
    return -1;
  }
  uint64_t handled = ALL_ACCESS_ABI_1 | (abi >= 2 ? ACCESS_REFER : 0) | (abi >= 3 ? ACCESS_TRUNCATE : 0);
  struct landlock_ruleset_attr attributes = {.handled_access_fs = handled};
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
  if (ruleset < 0) return -1;
  int result = 0;
  uint64_t write_access = handled & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
  for (; *writable && result == 0; writable++) result = allow_below(ruleset, *writable, write_access);
  for (; *addable && result == 0; addable++) result = allow_below(ruleset, *addable, ADD_ACCESS);
  for (; *readable && result == 0; readable++) result = allow_below(ruleset, *readable, READ_ACCESS);
  if (result == 0) result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
  close(ruleset);
  return result;
}

// MARK: seccomp

#if defined(__x86_64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "seccomp filter: unknown architecture"
#endif

#define REFUSE(call) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), \
  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

int ch_seccomp_confine(void) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCHITECTURE, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#if defined(__x86_64__)
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1),  // the x32 table would pass the list below
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
#endif
    REFUSE(execve), REFUSE(execveat), REFUSE(connect), REFUSE(ptrace), REFUSE(process_vm_readv),
    REFUSE(process_vm_writev), REFUSE(init_module), REFUSE(finit_module), REFUSE(delete_module),
    REFUSE(kexec_load), REFUSE(bpf), REFUSE(perf_event_open), REFUSE(userfaultfd), REFUSE(mount),
    REFUSE(umount2), REFUSE(pivot_root), REFUSE(chroot), REFUSE(setns), REFUSE(unshare),
    REFUSE(add_key), REFUSE(request_key), REFUSE(keyctl), REFUSE(reboot), REFUSE(swapon),
    REFUSE(swapoff), REFUSE(personality), REFUSE(io_uring_setup),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
#ifdef CHATELAINE_TEST_BACKTRACED
  errno = ENOSYS;
  return -1;
#endif
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}
