#pragma once
// Linux calls that Glibc's Swift module does not carry: secret mappings, process hardening.
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Random bytes from the kernel (getrandom(2)), whole or -1.
int ch_random(void *bytes, size_t count);

/// Erases in a way that the compiler keeps.
void ch_wipe(void *bytes, size_t count);

/// What this build leaves out on purpose, a word each with a space before it; empty in any build but a test's.
const char *ch_test_build(void);

/// What keeps a secret mapping out of reach; bits of ch_secret_map's `held`.
enum {
  CH_HELD_MEMFD_SECRET = 1,  // not in the kernel's direct map, unreadable through /proc
  CH_HELD_LOCKED = 2,        // never swapped
  CH_HELD_NO_DUMP = 4,       // left out of core dumps
  CH_HELD_NO_FORK = 8,       // wiped or absent in a child
};

/// Maps `count` bytes (whole pages) between two guard pages, locked; NULL with errno where that
/// cannot be had. `allow` holds CH_ALLOW bits.
void *ch_secret_map(size_t count, int allow, unsigned *held);

enum {
  CH_ALLOW_MEMFD_SECRET = 1,  // try memfd_secret(2) first
  CH_ALLOW_UNLOCKED = 2,      // go on where nothing can be locked, and say so in `held`
};

/// Erases and unmaps what ch_secret_map gave, guard pages included.
void ch_secret_unmap(void *base, size_t count);

/// Makes whole pages of a secret mapping read-only.
int ch_secret_seal(void *base, size_t count);
int ch_secret_unseal(void *base, size_t count);

/// Puts every signal that a crash raises back to its default action: Swift's backtracer prints the
/// bytes behind each register.
int ch_reset_crash_signals(void);
int ch_crash_signals_are_reset(void);

/// Gives each of descriptors 0 to 2 that is closed a /dev/null that can only be used the wrong way, so that no file
/// opened later gets its number and a program still notices that its output goes nowhere. 0, or -1 with errno.
int ch_hold_standard_descriptors(void);

/// Writes out what is buffered for standard output. 0, or -1 where that, or anything printed before, did not arrive.
int ch_flush_standard_output(void);

int ch_set_not_dumpable(void);
int ch_is_dumpable(void);
int ch_set_no_new_privileges(void);
int ch_no_new_privileges(void);
int ch_forbid_core_files(void);
int ch_core_files_are_forbidden(void);

/// What ps shows, up to 15 characters; call it from the main thread.
int ch_set_process_name(const char *name);

/// RLIMIT_MEMLOCK, bytes; ULLONG_MAX for none. A process with CAP_IPC_LOCK is not bound by it.
unsigned long long ch_memlock_limit(void);

/// Whether `count` bytes more could be locked now, tried and given back.
int ch_can_lock(size_t count);

/// The Landlock ABI of the running kernel, 0 where there is none.
int ch_landlock_abi(void);

/// Confines file access of this process: `writable` may be read and written below, `readable` read;
/// in `addable` directories files may also be made, renamed and removed. Paths end with a NULL. Returns 0, or -1 with errno.
int ch_landlock_confine(const char *const *writable, const char *const *addable, const char *const *readable);

/// Forbids, for good, to execute programs, trace processes, load modules, open raw or packet
/// sockets and connect to anything: the process only answers. Returns 0, or -1 with errno.
int ch_seccomp_confine(void);

/// Names the calling thread, for ps and gdb; 15 characters at most.
void ch_name_thread(const char *name);

/// Whether an open file is a regular one; -1 with errno.
int ch_is_regular(int fd);

/// st_nlink of an open file, or -1.
long ch_link_count(int fd);

/// Physical sector size of the block device below `fd`'s filesystem; 0 if it cannot be told.
unsigned ch_physical_sector_bytes(int fd);

/// flock(2), exclusive, without waiting: 0, or -1 with errno.
int ch_lock_exclusively(int fd);

/// The process that holds a flock(2) on the file that `fd` has open, as /proc/locks has it; 0 where that is not told.
int ch_lock_holder(int fd);

/// Another process that has a database of SQLite's open, by the lock on its `-shm`; 0 where none has, or nobody can tell.
/// Opens nothing: closing the file would give up our own locks on it.
int ch_index_holder(const char *path);

/// Whether a process has the regular file open for writing that `fd` has open for reading only: 1, or 0; -1 with errno
/// where that is not told: the filesystem has no leases or is another machine's, or the file is another user's. By a lease (F_SETLEASE,
/// F_RDLCK), which is given back at once; see fcntl(2).
int ch_is_open_for_writing(int fd);

/// Whether the open file is the one of that name in the directory, and no link to it.
int ch_is_at(int fd, int directory, const char *name);

/// Owner and mode, with the kind, of a file in a directory, of the directory where the name is empty; a link's own.
/// 0, or -1 with errno.
int ch_owner_and_mode(int directory, const char *name, unsigned *owner, unsigned *mode);

/// What strerror(3) says, for good.
const char *ch_error_text(int number);

/// renameat2(2) with RENAME_NOREPLACE.
int ch_rename_without_replacing(const char *from, const char *to);

/// The same within an open directory.
int ch_rename_within_without_replacing(int directory, const char *from, const char *to);

/// A file in a directory, or a link there, with O_PATH: to ask about it, also where it may not be read; -1 with errno.
int ch_open_place(int directory, const char *name);

/// The directory above an open one, with O_PATH; -1 with errno.
int ch_open_parent(int directory);

/// What SO_PEERCRED gives: `struct ucred`.
struct ch_credentials {
  int pid;
  unsigned uid;
  unsigned gid;
};

/// SO_PEERPIDFD: a handle of the process at the other end of a Unix socket; Linux 6.5 and later.
enum { CH_SO_PEERPIDFD = 77 };

/// A Unix socket bound to a path that is not there yet, which nobody can connect to until its mode is set.
int ch_bind_unix(const char *path);

/// A TCP socket bound to a numeric address, non-blocking; what is accepted at it says at once what it has to say
/// (TCP_NODELAY) and is closed when its other end has not been heard of for 25 seconds.
int ch_bind_tcp(const char *host, uint16_t port, int is_ipv6);
/// What is at a socket's path: 0 nothing, or a socket that nobody answers; 1 a socket that answers; 2 something
/// else; 3 with errno a socket of which neither is known; -1 with errno. Without `asks` nobody connects: any socket is 0.
int ch_unix_socket_state(const char *path, int asks);
/// The path that an AF_UNIX stream socket listens at: bytes written, or -1 where the descriptor is no such socket.
long ch_listening_path(int descriptor, void *path, size_t capacity);
/// Marks a descriptor close-on-exec and non-blocking: 0, or -1 with errno.
int ch_keep_to_ourselves(int descriptor);
/// The path of a process's cgroup without its first slash, its last bytes where it is longer, if `handle` says that the process still lives: bytes written, -1 if not.
long ch_cgroup_of(int pid, int handle, void *text, size_t capacity);


/// A file in a directory that has no name yet and goes when its last descriptor does, whoever ends the process; -1 where
/// the filesystem has none of these, or /proc cannot be used to name it.
int ch_open_unnamed(int directory, unsigned mode);
/// Names such a file. 0, or -1 with errno.
int ch_name_unnamed(int fd, int directory, const char *name);

enum { CH_REMOVED_AT_SIGNALS_MAX = 4 };
/// Has a name in an open directory removed where SIGHUP, SIGINT, SIGQUIT or SIGTERM end the process, which they still
/// do. A signal that is ignored stays so. Returns a number for ch_keep_at_signal, or -1 where there are too many.
int ch_remove_at_signal(int directory, const char *name);
void ch_keep_at_signal(int number);

/// Starts so many threads at one time, and ends them: 0, or why one could not be started.
int ch_can_start_threads(int count);
