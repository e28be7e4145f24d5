internal import ChatelaineConfiguration
internal import ChatelaineDoors
internal import ChatelaineExits
internal import Glibc

/// Raises the process's limit of open files as far as it may, and gives what each door may have of it.
func descriptorBudget(_ settings: ServiceConfiguration) throws(Failure) -> DescriptorBudget {
  let (descriptors, hasHTTP, tcp) = (raiseDescriptorLimit(), settings.httpSocket != nil, settings.listeners.count)
  if let budget = DescriptorBudget(
    descriptors: descriptors, connectionsMax: settings.connectionsMax, eventLoops: settings.eventLoops,
    hasHTTP: hasHTTP, tcp: tcp)
  {
    return budget
  }
  let least = DescriptorBudget.descriptorsMin(eventLoops: settings.eventLoops, hasHTTP: hasHTTP, tcp: tcp)
  throw Failure(
    .configuration,
    "The process may open \(descriptors) files and needs \(least): raise RLIMIT_NOFILE (LimitNOFILE=, ulimit -Hn).")
}

/// What it is now.
private func raiseDescriptorLimit() -> Int {
  let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  var limit = rlimit()
  guard unsafe getrlimit(resource, &limit) == 0 else { return 1024 }
  var raised = limit
  raised.rlim_cur = limit.rlim_max
  if unsafe setrlimit(resource, &raised) == 0 { limit = raised }
  return Int(clamping: limit.rlim_cur)
}

extension DescriptorBudget {
  /// Where the doors have less than the configuration says.
  func sentence(_ settings: ServiceConfiguration) -> String? {
    guard min(data, admin) < settings.connectionsMax else { return nil }
    let third = http == 0 ? "" : "the HTTP door \(http), "
    return "connections-max is \(settings.connectionsMax), and RLIMIT_NOFILE lets the data door have \(data), \(third)"
      + "the admin door \(admin): raise it (LimitNOFILE=, ulimit -Hn), or lower connections-max."
  }
}
