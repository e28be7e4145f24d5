import Testing

@Suite struct WipingFreeTests {
  @Test func `freed blocks are erased, those of the Swift runtime too`() throws {
    let probe = try Probe.run(["free"])
    #expect(probe.says("wipes"))
    #expect(probe.says("the runtime wipes"))
  }

  @Test func `free and realloc keep every promise of the C library's`() throws {
    let probe = try Probe.run(["allocator"])
    #expect(probe.status == 0)
    #expect(probe.lines.count == 14)
    for line in probe.lines { #expect(line.hasPrefix("ok ")) }
  }
}
