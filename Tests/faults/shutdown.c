// Cuts the power of a mounted ext4 or xfs: nothing more reaches its disk, the journal included.
//
// EXT4_IOC_SHUTDOWN / XFS_IOC_GOINGDOWN with flag 2 (no log flush). Needs root.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  uint32_t without_flush = 2;
  if (argc != 2) return 64;
  int fd = open(argv[1], O_RDONLY | O_DIRECTORY);
  if (fd < 0 || ioctl(fd, _IOR('X', 125, uint32_t), &without_flush) != 0) {
    perror(argv[1]);
    return 1;
  }
  return 0;
}
