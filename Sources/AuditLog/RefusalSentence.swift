internal import Glibc

extension StorageFailure {
  /// For an operator: why the log takes no entry now, by what the kernel said.
  package var refusalSentence: String {
    let begin = "The log cannot be written"
    let end = "nothing is answered"
    switch errno {
    case ENOSPC, EDQUOT: return "\(begin), its disk is full: \(end) until there is space."
    case EFBIG: return "\(begin), its file is at the process's limit (RLIMIT_FSIZE): \(end) until that is raised."
    case EMFILE:
      return "\(begin), the process has no descriptor left (RLIMIT_NOFILE): \(end) until connections are closed."
    case ENFILE: return "\(begin), the machine has no file handle left (fs.file-max): \(end) until there is one."
    case EROFS: return "\(begin), its file system is read-only: \(end) until it is writable."
    default: return "\(begin) (\(call.rawValue) failed: \(reason)): \(end)."
    }
  }
}
