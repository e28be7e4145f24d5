import Glibc

/// Everything that a program may expect of free and realloc, with the wiping ones in their place.
func checkAllocator() {
  check("free keeps errno", errnoSurvivesFree())
  check(
    "free(NULL)",
    {
      free(nil)
      return true
    }())
  check("realloc of nothing allocates", { unsafe holds(unsafe realloc(nil, 100), 0) }())
  check("growing keeps the bytes", resizingKeeps(from: 100, to: 100_000, kept: 100))
  check("growing what was mapped keeps the bytes", resizingKeeps(from: 1 << 20, to: 1 << 22, kept: 1 << 20))
  check("shrinking a little keeps the bytes", resizingKeeps(from: 1000, to: 900, kept: 900))
  check("shrinking a lot keeps the bytes", resizingKeeps(from: 100_000, to: 10, kept: 10))
  check("growing erases the old block", growingErases())
  check("realloc to 0 frees", unsafe resized(malloc(10), 0) == nil)
  check("too much fails with ENOMEM and keeps the block", failingKeeps())
  check("reallocarray keeps the bytes and checks the product", reallocarrayKeeps())
  check("calloc is zero after wiped frees", callocIsZero())
  check("aligned blocks are aligned and can be freed", alignedBlocks())
  check("four threads", threadsAgree())
}

/// Out of the optimizer's sight, which knows what realloc does.
@inline(never) private func resized(_ block: UnsafeMutableRawPointer?, _ count: Int)
  -> UnsafeMutableRawPointer?
{
  unsafe realloc(block, count)
}

private func check(_ what: String, _ isSo: Bool) { print("\(isSo ? "ok" : "NOT OK") \(what)") }

@unsafe private func filled(_ count: Int) -> UnsafeMutableRawPointer {
  let block = unsafe malloc(count)!
  for index in 0..<count { unsafe block.storeBytes(of: pattern(index), toByteOffset: index, as: UInt8.self) }
  return unsafe block
}

private func pattern(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index &* 31 &+ 7) | 1 }

/// Whether the first `count` bytes are the pattern; frees the block.
@unsafe private func holds(_ block: UnsafeMutableRawPointer?, _ count: Int) -> Bool {
  guard let block = unsafe block else { return false }
  defer { unsafe free(block) }
  return (0..<count).allSatisfy { unsafe block.load(fromByteOffset: $0, as: UInt8.self) == pattern($0) }
}

private func errnoSurvivesFree() -> Bool {
  let small = unsafe malloc(100)
  let large = unsafe malloc(1 << 22)
  errno = 4242
  unsafe free(small)
  unsafe free(large)
  return errno == 4242
}

private func resizingKeeps(from: Int, to: Int, kept: Int) -> Bool {
  unsafe holds(realloc(filled(from), to), kept)
}

private func growingErases() -> Bool {
  let block = unsafe filled(256)
  let address = UInt(bitPattern: block)
  let moved = unsafe realloc(block, 5000)
  defer { unsafe free(moved) }
  guard let old = unsafe UnsafeRawPointer(bitPattern: address), unsafe old != UnsafeRawPointer(moved!) else {
    return false
  }
  return (32..<256).allSatisfy { unsafe old.load(fromByteOffset: $0, as: UInt8.self) != pattern($0) }
}

private func failingKeeps() -> Bool {
  let block = unsafe filled(64)
  errno = 0
  let none = unsafe realloc(block, Int.max - 64)
  return unsafe none == nil && errno == ENOMEM && holds(block, 64)
}

private func reallocarrayKeeps() -> Bool {
  let block = unsafe reallocarray(filled(64), 1000, 8)
  guard let block = unsafe block else { return false }
  errno = 0
  let none = unsafe reallocarray(block, Int.max, 16)
  return unsafe none == nil && errno == ENOMEM && holds(block, 64)
}

private func callocIsZero() -> Bool {
  (0..<200).allSatisfy { round in
    let count = 16 + round * 37
    unsafe free(filled(count))
    let block = unsafe calloc(count, 1)!
    defer { unsafe free(block) }
    return (0..<count).allSatisfy { unsafe block.load(fromByteOffset: $0, as: UInt8.self) == 0 }
  }
}

private func alignedBlocks() -> Bool {
  [16, 64, 4096, 65_536].allSatisfy { alignment in
    var block: UnsafeMutableRawPointer?
    guard unsafe posix_memalign(&block, alignment, 1000) == 0, let first = unsafe block else { return false }
    let second = unsafe aligned_alloc(alignment, alignment * 2)!
    unsafe memset(first, 1, 1000)
    unsafe memset(second, 2, alignment * 2)
    defer {
      unsafe free(first)
      unsafe free(second)
    }
    return UInt(bitPattern: first) % UInt(alignment) == 0 && UInt(bitPattern: second) % UInt(alignment) == 0
  }
}

/// Blocks made by one thread and freed by another.
private func threadsAgree() -> Bool {
  var threads: [pthread_t] = []
  for _ in 0..<4 {
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { _ in
        for round in 0..<20_000 { unsafe free(realloc(malloc(round % 3000 + 1), round % 5000 + 1)) }
        return unsafe malloc(77)
      }, nil)
    guard status == 0 else { return false }
    threads.append(thread)
  }
  return threads.allSatisfy { thread in
    var made: UnsafeMutableRawPointer?
    guard unsafe pthread_join(thread, &made) == 0 else { return false }
    unsafe free(made)
    return true
  }
}
