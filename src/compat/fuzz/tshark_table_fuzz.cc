// Input: a capture file. Whatever it holds, --compat tshark writes a line a frame with TCP, each with as many fields as the first.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/check.h"
#include "capfile/input/unpacked_source.h"
#include "compat/tshark/table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy::compat;
  using tcpwhy::scan::FrameReader;
  if (tcpwhy::capfile::is_compressed({data, size}))
    return -1;  // of fuzz_capture: a few bytes stand for millions of packets
  auto reader = FrameReader::from_memory(std::span(data, size), "fuzz");
  if (!reader) return 0;
  std::optional<std::ptrdiff_t> columns;
  (void)tshark::write_table(*reader, [&](std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      TCPWHY_CHECK(end != std::string_view::npos);
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      const auto tabs = std::count(line.begin(), line.end(), '\t');
      TCPWHY_CHECK(!columns || *columns == tabs);
      columns = tabs;
      for (const char letter : line) TCPWHY_CHECK(letter == '\t' || static_cast<unsigned char>(letter) >= 0x20);
    }
    return true;
  });
  return 0;
}
