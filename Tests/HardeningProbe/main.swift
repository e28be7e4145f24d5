// A process for the hardening tests to look at: it closes itself up, does one thing and tells.
import CWipingFree
import ChatelaineHardening
import ChatelaineSecretMemory
import Glibc

/// The rest of the command line, after what to do.
let arguments = Array(CommandLine.arguments.dropFirst())

func allowances(_ words: [String]) -> Hardening.Allowances {
  var allowed: Hardening.Allowances = []
  if words.contains("allow-root") { allowed.insert(.root) }
  if words.contains("allow-swap") { allowed.insert(.swap) }
  if words.contains("allow-preload") { allowed.insert(.preload) }
  if words.contains("allow-unlocked") { allowed.insert(.unlockedMemory) }
  return allowed
}

func closeUp() {
  do {
    let policy = Hardening.Policy(
      allowed: allowances(arguments), reexecutes: !arguments.contains("no-restart"),
      freeWipes: ch_wiping_free_is_linked() == 1)
    for measure in try Hardening.close(policy) { tell(measure) }
  } catch {
    print("refused: \(error.sentence)")
    exit(78)
  }
}

func tell(_ measure: Measure) { print("\(measure.name.rawValue) \(measure.isHeld) \(measure.detail)") }

/// Faults while a register holds the address of a canary.
func crash() {
  let canary = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 16)
  for index in 0..<32 {
    unsafe canary.storeBytes(of: UInt8(0xC0 + index), toByteOffset: index, as: UInt8.self)
  }
  let nowhere = unsafe UnsafeMutableRawPointer(bitPattern: 4096)!
  unsafe memcpy(nowhere, canary, 32)
}

/// Whether the Swift runtime, a shared library, erases what it frees.
func runtimeWipes() -> Bool {
  let block = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
  let address = UInt(bitPattern: block)
  unsafe memset(block, 0xA5, 256)
  unsafe block.deallocate()
  let freed = unsafe UnsafeRawPointer(bitPattern: address)!
  return (32..<256).allSatisfy { unsafe freed.load(fromByteOffset: $0, as: UInt8.self) != 0xA5 }
}

func tellOpen(_ path: String, _ flags: Int32) {
  let descriptor = unsafe open(path, flags, 0o600)
  print("open \(path) \(descriptor >= 0 ? "ok" : "errno \(errno)")")
}

/// What can be done in a directory that holds `old`: what a new file takes, and what none does.
func addAndChange(_ ring: String, elsewhere: String) {
  func told(_ what: String, _ status: Int32) { print("\(what) \(status >= 0 ? "ok" : "errno \(errno)")") }
  let new = unsafe open(ring + "/.new", O_WRONLY | O_CREAT | O_EXCL, 0o400)
  told("make", new)
  told("write", unsafe Int32(write(new, "x", 1)))
  told("sync", fsync(new))
  told("rename", unsafe rename(ring + "/.new", ring + "/new"))
  told("read", unsafe open(ring + "/new", O_RDONLY))
  told("list", unsafe open(ring, O_RDONLY | O_DIRECTORY))
  told("remove", unsafe unlink(ring + "/new"))
  told("truncate", unsafe truncate(ring + "/old", 0))
  told("mkdir", unsafe mkdir(ring + "/directory", 0o700))
  told("symlink", unsafe symlink("old", ring + "/link"))
  told("fifo", unsafe mkfifo(ring + "/fifo", 0o600))
  told("move out", unsafe rename(ring + "/old", elsewhere + "/old"))
  told("make elsewhere", unsafe open(elsewhere + "/new", O_WRONLY | O_CREAT, 0o600))
}

switch arguments.first {
case "measures":
  closeUp()
  print("arguments \(arguments.joined(separator: ","))")
  print("name \(readName())")
case "crash":
  if !arguments.contains("without") { closeUp() }
  crash()
case "landlock":
  tell(Hardening.confineFiles(writable: [arguments[1]], readable: [arguments[2], "/nowhere/at/all"]))
  for path in arguments[3...] {
    tellOpen(path, O_RDONLY)
    tellOpen(path, O_WRONLY)
  }
case "addable", "writable":
  let ring = arguments[1]
  tell(
    Hardening.confineFiles(
      writable: arguments[0] == "writable" ? [ring] : [], addable: arguments[0] == "addable" ? [ring] : [],
      readable: ["/usr"]))
  addAndChange(ring, elsewhere: arguments[2])
case "seccomp":
  tell(Hardening.confineSystemCalls())
  var nothing: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
  _ = unsafe execv("/bin/true", &nothing)
  print("exec errno \(errno)")
  var address = sockaddr()
  address.sa_family = sa_family_t(AF_UNIX)
  let status = unsafe connect(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0), &address, 2)
  print("connect \(status) errno \(errno)")
case "free":
  print(ch_wiping_free_is_linked() == 1 ? "wipes" : "does not wipe")
  print(runtimeWipes() ? "the runtime wipes" : "the runtime does not wipe")
case "allocator":
  checkAllocator()
default:
  print("unknown act")
  exit(64)
}

func readName() -> String {
  var name = [CChar](repeating: 0, count: 32)
  let descriptor = unsafe open("/proc/self/comm", O_RDONLY)
  _ = unsafe read(descriptor, &name, 31)
  return String(decoding: name.prefix { $0 > 32 }.map(UInt8.init), as: UTF8.self)
}
