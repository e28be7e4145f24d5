#!/usr/bin/env bash
# Makes the Swift messages from proto/ anew. Needed only after a change there: what it makes is committed.
# Takes protoc (Debian's protobuf-compiler) and builds the plugin of the pinned swift-protobuf.
set -eu
cd "$(dirname "$0")/.."
plugin=.build/checkouts/swift-protobuf
swift build --package-path "$plugin" --scratch-path .build-protobuf --product protoc-gen-swift
bin=$(swift build --package-path "$plugin" --scratch-path .build-protobuf --show-bin-path)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
protoc --proto_path=proto --plugin="$bin/protoc-gen-swift" --swift_opt=Visibility=Package \
  --swift_opt=UseAccessLevelOnImports=true --swift_out="$made" proto/chatelaine/v1/*.proto
cp "$made"/chatelaine/v1/{common,admin_service}.pb.swift Sources/Messages/
# The data door's messages are read and written by hand: the generated ones are what tests hold them against.
cp "$made"/chatelaine/v1/{common,key_service,log_service}.pb.swift Tests/WireTests/
