internal import ChatelaineVocabulary
internal import GRDB

/// Some buckets, in order.
struct BucketNumbers: Sendable {
  private(set) var sorted: [Int]

  init(_ numbers: [Int]) {
    sorted = []
    for number in numbers.sorted() where sorted.last != number { sorted.append(number) }
  }

  func contains(_ number: Int) -> Bool {
    let place = sorted.firstPlace { $0 >= number }
    return place < sorted.count && sorted[place] == number
  }

  /// Few ranges that hold all of them: those of a batch lie near each other, a rotation's own anywhere.
  var ranges: [ClosedRange<Int>] {
    var ranges: [ClosedRange<Int>] = []
    for bucket in sorted {
      if let last = ranges.last, bucket - last.upperBound < 64 {
        ranges[ranges.count - 1] = last.lowerBound...bucket
      } else {
        ranges.append(bucket...bucket)
      }
    }
    return ranges
  }
}

/// The row MACs of some buckets, table by table.
struct BucketMACs: Sendable {
  struct Element: Equatable, Comparable, Sendable {
    let bucket: Int
    var mac: Digest

    static func < (x: Self, y: Self) -> Bool { (x.bucket, x.mac) < (y.bucket, y.mac) }
  }

  private struct Table {
    let table: StoreTable
    /// Sorted by their buckets.
    var elements: [Element]

    func places(of bucket: Int) -> Range<Int> {
      elements.firstPlace { $0.bucket >= bucket }..<elements.firstPlace { $0.bucket > bucket }
    }
  }

  private var tables: [Table]
  private var buckets: BucketNumbers

  /// Of the tenants they are known already, in the order of their buckets.
  init(_ buckets: BucketNumbers, tenants: [Element], _ database: Database) throws {
    self.buckets = buckets
    tables = [Table(table: .tenant, elements: tenants)]
    for table in StoreTable.inBuckets where table != .tenant {
      tables.append(Table(table: table, elements: try Self.read(table, buckets, database)))
    }
  }

  /// Another bucket's, which may lie anywhere.
  mutating func add(_ bucket: Int, from database: Database) throws {
    buckets = BucketNumbers(buckets.sorted + [bucket])
    for place in tables.indices {
      let found = try Self.read(tables[place].table, BucketNumbers([bucket]), database)
      tables[place].elements.insert(contentsOf: found, at: tables[place].places(of: bucket).lowerBound)
    }
  }

  /// Whether the tables that a rotation writes hold these.
  func areWritten(in database: Database) throws -> Bool {
    for table in tables where [.tenant, .rotation].contains(table.table) {
      guard try Self.read(table.table, buckets, database).sorted() == table.elements.sorted() else { return false }
    }
    return true
  }

  /// Of those buckets, in their order.
  private static func read(_ table: StoreTable, _ buckets: BucketNumbers, _ database: Database) throws -> [Element] {
    let statement = try database.cachedStatement(
      sql: "SELECT bucket, row_mac FROM \(table.sqlName) WHERE bucket BETWEEN ? AND ? ORDER BY bucket")
    let reader = RowReader(StatementColumns(statement), record: "a bucket")
    var found: [Element] = []
    for range in buckets.ranges {
      let rows = try Row.fetchCursor(statement, arguments: [range.lowerBound, range.upperBound])
      while try rows.next() != nil {
        let bucket: Int = try reader.integer("bucket")
        if buckets.contains(bucket) { found.append(Element(bucket: bucket, mac: try reader.digest("row_mac"))) }
      }
    }
    return found
  }

  var digests: [Int: Digest] {
    var digests: [Int: Digest] = [:]
    digests.reserveCapacity(buckets.sorted.count)
    for bucket in buckets.sorted { digests[bucket] = digest(of: bucket) }
    return digests
  }

  func digest(of bucket: Int) -> Digest {
    var macs: [Digest] = []
    for table in tables { for element in table.elements[table.places(of: bucket)] { macs.append(element.mac) } }
    return Bucket.digest(macs)
  }

  mutating func replace(_ old: Digest, by new: Digest, in bucket: Int, of table: StoreTable) throws(KeyStoreError) {
    guard let table = tables.firstIndex(where: { $0.table == table }),
      let place = tables[table].places(of: bucket).first(where: { tables[table].elements[$0].mac == old })
    else { throw .tampered(record: "bucket \(bucket)") }
    tables[table].elements[place].mac = new
  }
}

extension Array {
  /// The first place where `holds`, which is false up to it and true from there on; the end where it never is.
  fileprivate func firstPlace(where holds: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
