// Input: a capture file. Whatever it holds, its conn.log is a line a connection, with as many fields as there are names.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "capfile/input/unpacked_source.h"
#include "compat/zeek/zeek.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy::compat;
  using tcpwhy::scan::FrameReader;
  if (tcpwhy::capfile::is_compressed({data, size}))
    return -1;  // of fuzz_capture: a few bytes stand for millions of packets
  auto reader = FrameReader::from_memory(std::span(data, size), "fuzz", zeek::frame_options());
  if (!reader) return 0;
  std::ptrdiff_t columns = -1;
  (void)zeek::write_conn_log(*reader, [&](std::string_view text) {
    if (text.starts_with('#')) {
      const auto fields = text.substr(text.find("#types"));
      columns = std::count(fields.begin(), fields.end(), '\t') - 1;  // the first one stands behind the word
      return true;
    }
    TCPWHY_CHECK(std::count(text.begin(), text.end(), '\t') == columns);
    TCPWHY_CHECK(std::count(text.begin(), text.end(), '\n') == 1 && text.ends_with('\n'));
    return true;
  });
  return 0;
}
