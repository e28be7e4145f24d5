internal import CLinux
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Glibc

extension Keyring {
  /// Puts a new file into the directory, whole and durable or not at all.
  ///
  /// Written under another name, read back, and only then renamed, never over a file that is there.
  borrowing func write(_ file: borrowing SecretBytes, as key: MasterKey) throws(KeyringError) {
    let temporary = ".new-" + Hex.encode(SecureRandom.bytes(8).span)
    let name = Self.fileName(key.reference.version)
    do throws(KeyringError) {
      try writeTemporary(file, named: temporary)
      guard unsafe ch_rename_within_without_replacing(directory.number, temporary, name) == 0 else {
        throw errno == EEXIST
          ? .versionTaken(path: path + "/" + name) : .unwritable(path: path + "/" + name, errno: errno)
      }
    } catch {
      unsafe unlinkat(directory.number, temporary, 0)
      throw error
    }
    do throws(KeyringError) {
      guard fsync(directory.number) == 0 else { throw .unwritable(path: path, errno: errno) }
      try checkWritten(key)
    } catch {
      unsafe unlinkat(directory.number, name, 0)
      throw error
    }
  }

  private borrowing func writeTemporary(_ bytes: borrowing SecretBytes, named name: String)
    throws(KeyringError)
  {
    let file = unsafe Descriptor(
      openat(directory.number, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o400))
    guard file.isOpen, fchmod(file.number, 0o400) == 0, bytes.write(to: file.number), fsync(file.number) == 0
    else {
      throw .unwritable(path: path, errno: errno)
    }
  }

  /// Sees to it that a version's file is this key's, whole and on the disk: before anything is wrapped by it.
  package borrowing func confirm(_ key: MasterKey) throws(KeyringError) {
    let name = Self.fileName(key.reference.version)
    try checkWritten(key)
    let file = unsafe Descriptor(openat(directory.number, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC))
    guard file.isOpen, fsync(file.number) == 0, fsync(directory.number) == 0 else {
      throw .unwritable(path: path + "/" + name, errno: errno)
    }
  }

  /// Reads the file again by the way that every reader takes.
  private borrowing func checkWritten(_ key: MasterKey) throws(KeyringError) {
    let header = try header(key.reference.version)
    guard header.key == key.reference, header.keyCheckValue == key.keyCheckValue else {
      throw .content(path: filePath(key.reference.version), .wrongKey)
    }
  }
}

func makeDirectory(at path: String) throws(KeyringError) {
  guard unsafe mkdir(path, 0o700) == 0 else {
    throw errno == ENOENT ? .parentMissing(path: path) : .unwritable(path: path, errno: errno)
  }
  // The mode again: a umask may have taken from it.
  guard unsafe chmod(path, 0o700) == 0, syncDirectory(at: path + "/..") else {
    let reason = errno
    unsafe rmdir(path)
    throw .unwritable(path: path, errno: reason)
  }
}

/// A directory that cannot be read cannot be synced either: then the system does it in its own time.
private func syncDirectory(at path: String) -> Bool {
  let directory = unsafe Descriptor(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
  return !directory.isOpen || fsync(directory.number) == 0
}
