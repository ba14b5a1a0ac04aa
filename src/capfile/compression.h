// Whole buffers through gzip and zstd, for writing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tcpwhy::capfile {

std::vector<std::uint8_t> gzip_compressed(std::span<const std::uint8_t> bytes);
std::vector<std::uint8_t> zstd_compressed(std::span<const std::uint8_t> bytes);

}  // namespace tcpwhy::capfile
