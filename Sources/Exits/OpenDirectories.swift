internal import ChatelaineAuditLog
internal import ChatelaineCustody

/// Refuses a directory that has one of the bits `forbidden` in its mode, and one above it that is open to everybody.
package func checkNobodyElseWrites(in directory: String, forbidden: UInt32) throws(Failure) {
  do throws(StorageFailure) { try OpenDirectories.check(directory, forbidden: forbidden) } catch {
    throw Failure(.noPermission, "\(printable(error.path)): \(error.reason)")
  }
}
