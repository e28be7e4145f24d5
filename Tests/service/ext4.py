"""An ext4 file system in a file, whose power can be cut. Needs root, loop mounts and a C compiler."""
import os
import shutil
import subprocess
import tempfile
import time

FAULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults")


class Unavailable(Exception):
    """One line: why there can be none here."""


class Disk:
    """`with Disk() as disk:` has it mounted at `disk.path`."""

    def __init__(self, megabytes=192):
        if os.getuid() != 0:
            raise Unavailable("needs root")
        for tool in ("mkfs.ext4", "mount"):
            if not shutil.which(tool):
                raise Unavailable("needs " + tool)
        self.work = tempfile.mkdtemp(prefix="chatelaine-disk-")
        self.image, self.path = os.path.join(self.work, "image"), os.path.join(self.work, "mnt")
        self.helper = os.path.join(self.work, "shutdown")
        try:
            os.mkdir(self.path)
            compiler = shutil.which("cc") or shutil.which("clang")
            self.run(compiler or "cc", "-O1", "-o", self.helper, os.path.join(FAULTS, "shutdown.c"))
            self.run("truncate", "-s", "%dM" % megabytes, self.image)
            self.run("mkfs.ext4", "-q", "-F", self.image)
            self.mount()
        except (subprocess.CalledProcessError, OSError) as error:
            self.close()
            raise Unavailable("needs loop mounts and a C compiler (%s)" % error) from error

    @staticmethod
    def run(*command):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def mount(self):
        # why: a mount namespace that somebody made meanwhile keeps the old mount, which may be shut down, and the kernel
        # would give the same one again. Then what the disk holds goes on in a copy.
        for _ in range(20):
            if not self.is_attached():
                break
            time.sleep(0.1)
        else:
            self.run("cp", "--sparse=always", self.image, self.image + "-copy")
            os.rename(self.image + "-copy", self.image)
        self.run("mount", "-o", "loop", self.image, self.path)

    def is_attached(self):
        """Whether a loop device has the image."""
        return bool(subprocess.run(["losetup", "-j", self.image], capture_output=True).stdout)

    def unmount(self):
        self.run("umount", self.path)

    def remount(self, options):
        self.run("mount", "-o", "remount," + options, self.path)

    def sync(self):
        self.run("sync", "-f", self.path)

    def cut(self):
        """Nothing more reaches the disk, its own journal included. Stop who writes first, so that nobody learns of it."""
        self.run(self.helper, self.path)

    def close(self):
        if os.path.ismount(self.path):
            subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL)
        if os.path.ismount(self.path):
            subprocess.run(["umount", "-l", self.path])
        shutil.rmtree(self.work, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
