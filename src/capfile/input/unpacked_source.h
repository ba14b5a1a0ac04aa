// What compressed data hold, as if it lay there plainly.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "capfile/input/byte_source.h"
#include "capfile/input/unpacker.h"

namespace tcpwhy::capfile {

// By its first `longest_magic` bytes, of any of the formats of unpacker.h.
bool is_compressed(std::span<const std::uint8_t> start);

// `source` itself, or its decompressed content if its first bytes are those of compressed data; once: what is compressed twice stays
// so. Members, frames and streams may be concatenated; what follows the last as gzip(1), zstd(1), xz(1), bzip2(1) and lz4(1) treat it:
// behind gzip and bzip2 it is ignored, elsewhere it is damage.
//
// The first megabyte is unpacked by who reads. Of what is longer a thread of its own unpacks the rest, four megabytes ahead, unless
// - reading may wait for somebody who writes (a pipe): nobody could call such a thread back from there;
// - as many such threads as there are processors are at work (captures that are merged), or no thread is to be had.
// May be read by any number of threads, one at a time.
std::unique_ptr<ByteSource> decompressed(std::unique_ptr<ByteSource> source);

}  // namespace tcpwhy::capfile
