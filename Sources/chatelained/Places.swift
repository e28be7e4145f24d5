internal import ChatelaineAuditLog
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import Glibc

/// Refuses directories in which others could put something in the place of a socket or of the key store: the log and the
/// keyring have stricter rules of their own. What is not there yet is told by whoever needs it.
func checkPlaces(_ settings: ServiceConfiguration) throws(Failure) {
  let places = [settings.dataSocket.path, settings.adminSocket.path, settings.store, settings.log.signingKey]
  for path in places.compactMap({ $0 }) {
    guard let directory = resolved(directoryAbove(path)) else { continue }
    try check(directory, forbidden: 0o022)
    var above = directory
    while above != "/" {
      above = directoryAbove(above)
      try check(above, forbidden: 0o002)
    }
  }
}

/// `forbidden` are the bits of a mode that must not be there, unless names in the directory are their owners' alone (the
/// sticky bit).
private func check(_ path: String, forbidden: mode_t) throws(Failure) {
  var status = stat()
  guard unsafe stat(path, &status) == 0 else { return }
  let mode = status.st_mode & 0o7777
  guard mode & forbidden != 0, mode & 0o1000 == 0 else { return }
  let failure = StorageFailure(.mode(UInt32(mode)), path: path)
  throw Failure(.noPermission, "\(printable(path)): \(failure.reason)")
}

/// The directory that a file lies in.
func directoryAbove(_ path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

private func resolved(_ path: String) -> String? {
  guard let real = unsafe realpath(path, nil) else { return nil }
  defer { unsafe free(real) }
  return unsafe String(cString: real)
}
