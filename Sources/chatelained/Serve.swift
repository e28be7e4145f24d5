internal import ArgumentParser
internal import ChatelaineConfiguration
internal import ChatelaineHardening

extension Chatelained {
  /// The doors are not built yet.
  func serve(_ settings: ServiceConfiguration, _ measures: [Measure]) throws {
    throw ValidationError("This version has no doors to open: give --check.")
  }
}
