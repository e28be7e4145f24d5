#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int address_of(const char *path, struct sockaddr_un *address) {
  size_t count = strlen(path);
  if (count >= sizeof(address->sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, count);
  return 0;
}

int ch_bind_unix(const char *path) {
  struct sockaddr_un address;
  if (address_of(path, &address) != 0) return -1;
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  // The file's mode is the descriptor's: nobody can connect before the caller widens it.
  if (fchmod(descriptor, 0) != 0 || bind(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0) {
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
  }
  return descriptor;
}

static int set(int descriptor, int level, int name, int value) {
  return setsockopt(descriptor, level, name, &value, sizeof value);
}

// Accepted sockets have these from the one they were accepted at.
static int settle_tcp(int descriptor) {
  return set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1) == 0 &&
         set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1) == 0 && set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, 10) == 0 &&
         set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 5) == 0 && set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 3) == 0 &&
         set(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, 25000) == 0;
}

int ch_bind_tcp(const char *host, uint16_t port, int is_ipv6) {
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  void *place = is_ipv6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr;
  if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, host, place) != 1) {
    errno = EINVAL;
    return -1;
  }
  int descriptor = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  const struct sockaddr *address = is_ipv6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
  socklen_t count = is_ipv6 ? sizeof six : sizeof four;
  if ((is_ipv6 && set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) || !settle_tcp(descriptor) ||
      bind(descriptor, address, count) != 0) {
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
  }
  return descriptor;
}

int ch_unix_socket_state(const char *path, int asks) {
  struct stat facts;
  struct sockaddr_un address;
  if (lstat(path, &facts) != 0) return errno == ENOENT ? 0 : -1;
  if (!S_ISSOCK(facts.st_mode)) return 2;
  if (address_of(path, &address) != 0) return -1;
  if (!asks) return 0;
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  int error = connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
  close(descriptor);
  if (error == 0 || error == EAGAIN) return 1;
  // Only this proves that nobody listens: of another user's socket it may not even be asked.
  if (error == ECONNREFUSED || error == ENOENT) return 0;
  errno = error;
  return 3;
}

static int socket_option(int descriptor, int name) {
  int value = -1;
  socklen_t count = sizeof(value);
  return getsockopt(descriptor, SOL_SOCKET, name, &value, &count) == 0 ? value : -1;
}

long ch_listening_path(int descriptor, void *path, size_t capacity) {
  struct sockaddr_un address;
  socklen_t count = sizeof(address);
  if (socket_option(descriptor, SO_DOMAIN) != AF_UNIX || socket_option(descriptor, SO_TYPE) != SOCK_STREAM) return -1;
  if (socket_option(descriptor, SO_ACCEPTCONN) != 1) return -1;
  if (getsockname(descriptor, (struct sockaddr *)&address, &count) != 0) return -1;
  // A name in the file system, not an abstract one, which begins with a zero; it may come without its last zero.
  size_t room = count > offsetof(struct sockaddr_un, sun_path) ? count - offsetof(struct sockaddr_un, sun_path) : 0;
  size_t length = strnlen(address.sun_path, room);
  if (length == 0 || length > capacity) return -1;
  memcpy(path, address.sun_path, length);
  return (long)length;
}

int ch_keep_to_ourselves(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) return -1;
  return fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

long ch_cgroup_of(int pid, int handle, void *text, size_t capacity) {
  char path[64], lines[8192];
  snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t count = read(file, lines, sizeof(lines) - 1);
  close(file);
  // Signal 0 through the handle: the process that the pid named is still the peer.
  if (count <= 0 || syscall(SYS_pidfd_send_signal, handle, 0, NULL, 0) != 0) {
    if (count <= 0 || errno != EPERM) return -1;
  }
  lines[count] = 0;
  char *line = strstr(lines, "0::");
  if (line == NULL || (line != lines && line[-1] != '\n')) return 0;
  line += 3;
  char *end = strchr(line, '\n');
  if (end != NULL) *end = 0;
  // Its end is what tells callers apart; all of it, where it fits, who made the name at its end.
  while (*line == '/') line++;
  size_t length = strlen(line), left_out = length > capacity ? length - capacity : 0;
  memcpy(text, line + left_out, length - left_out);
  return (long)(length - left_out);
}
