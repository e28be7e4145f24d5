package import ChatelaineVocabulary

/// The histories of all tenants of a log, and the tree over them in the order in which they began.
///
/// Fed with entries that were checked, in order and from the first on. An entry counts once its hash is known, which is
/// the link of the next.
package struct TenantHistories: Sendable {
  /// Also those that are met and not in the tree yet.
  private var names = TenantNames()
  private var histories: [TenantHistory] = []
  private var tree = ChangingTree()
  /// Entries that count.
  package private(set) var size: UInt64 = 0
  /// The tenant of the entry whose hash is not known yet; nil within for one that belongs to no history.
  private var open: Int??

  package init() {}

  /// What was kept of the first `size` entries.
  package init(size: UInt64) { self.size = size }

  /// Tenants in the tree.
  package var count: Int { histories.count }

  /// Whether the entry belongs to a history.
  @discardableResult package mutating func take(_ entry: Span<UInt8>) -> Bool {
    complete(AuditEntry.previous(in: entry))
    let tenant = number(of: entry)
    open = .some(tenant)
    return tenant != nil
  }

  /// The hash of the last entry: what is fed behind it need not follow.
  package mutating func complete(_ leaf: Digest) {
    guard let tenant = open else { return }
    open = nil
    apply(tenant, leaf)
  }

  /// The tenant whose history an entry belongs to, by number; nil where it belongs to none.
  mutating func number(of entry: Span<UInt8>) -> Int? {
    let name = entry.extracting(AuditEntry.tenant(in: entry))
    if let number = names.number(of: name) { return number }
    return AuditEntry.beginsHistory(entry) ? names.append(name) : nil
  }

  /// Counts the next entry.
  mutating func apply(_ tenant: Int?, _ leaf: Digest) {
    defer { size += 1 }
    guard let tenant else { return }
    if tenant == histories.count {
      histories.append(names.withName(tenant) { TenantHistory(of: $0) })
      tree.grow()
    }
    histories[tenant].take(size, leaf: leaf)
    tree.note(tenant)
  }

  /// Adds the next tenant as it was kept.
  package mutating func add(_ tenant: Span<UInt8>, _ history: TenantHistory) -> Bool {
    guard names.number(of: tenant) == nil else { return false }
    _ = names.append(tenant)
    histories.append(history)
    tree.grow()
    return true
  }

  /// Each tenant of the tree, in its order.
  package func forEach<Failure: Error>(
    _ body: (_ tenant: Span<UInt8>, TenantHistory) throws(Failure) -> Void
  ) throws(Failure) {
    for number in histories.indices {
      let name = names.withName(number) { $0.copied() }
      try body(name.span, histories[number])
    }
  }

  // MARK: The tree

  /// What tenant heads say of the entries that count.
  package mutating func heads() -> TenantHeads {
    let (names, histories) = (names, histories)
    let root = tree.root { number in names.withName(number) { histories[number].leafHash(of: $0) } }
    return TenantHeads(size: size, tenants: UInt64(histories.count), root: root)
  }

  /// A tenant's place in the tree and the way from there to the root; nil where it has no history.
  package mutating func path(of tenant: Span<UInt8>) -> (index: Int, hashes: [Digest])? {
    guard let index = names.number(of: tenant), index < histories.count else { return nil }
    let (names, histories) = (names, histories)
    let hashes = tree.path(of: index) { number in names.withName(number) { histories[number].leafHash(of: $0) } }
    return (index, hashes)
  }
}
