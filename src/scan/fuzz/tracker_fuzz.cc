// Input: a story, a line a segment: "c S 0 0 0 1000 7": who sends (c or s), flags (S A F R P U), seq, ack, payload
// length, window, IP ID. Told twice, with different initial sequence numbers: both tables must say the same, and keep
// what tracker.h promises.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "scan/connections/connection_table.h"
#include "scan/tables/fields.h"

namespace {

using namespace tcpwhy;

constexpr std::size_t most_segments = 4000;

struct Line {
  bool client = true;
  std::uint16_t flags = 0;
  std::array<std::uint32_t, 5> numbers{};  // seq, ack, length, window, IP ID
};

std::vector<Line> parse(std::string_view text) {
  constexpr std::string_view letters = "FSRPAU";  // in the order of their bits
  std::vector<Line> lines;
  while (!text.empty() && lines.size() < most_segments) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    Line& parsed = lines.emplace_back();
    parsed.client = !line.starts_with('s');
    std::size_t number = 0;
    for (std::size_t i = 1; i < line.size();) {
      if (const auto bit = letters.find(line[i]); bit != std::string_view::npos) {
        parsed.flags |= static_cast<std::uint16_t>(1U << bit);
        ++i;
      } else if (line[i] >= '0' && line[i] <= '9' && number < parsed.numbers.size()) {
        const auto read = std::from_chars(line.data() + i, line.data() + line.size(), parsed.numbers[number++]);
        i = static_cast<std::size_t>(read.ptr - line.data());
      } else {
        ++i;
      }
    }
  }
  return lines;
}

class Table {
 public:
  Table(std::uint32_t client_isn, std::uint32_t server_isn)
      : isn_{{client_isn, server_isn}},
        table_({.open = 10, .over = 5}, 1, [this](scan::Connection& connection, scan::Left left) {
          const scan::ConnectionRecord record = scan::record_of(connection, left);
          const auto problems = scan::problems_of(record);
          std::vector<const scan::Field*> columns;
          for (const scan::Field& field : scan::fields()) columns.push_back(&field);
          records_ += scan::ndjson_line({record, problems, {}}, columns);
        }) {}

  tcp::Verdict take(const Line& line, std::uint64_t frame) {
    wire::TcpSegment segment;
    const wire::SocketAddress client{wire::IpAddress::v4(std::array<std::uint8_t, 4>{192, 0, 2, 1}), 40000},
        server{wire::IpAddress::v4(std::array<std::uint8_t, 4>{192, 0, 2, 2}), 80};
    segment.source = line.client ? client : server;
    segment.destination = line.client ? server : client;
    segment.flags.bits = line.flags;
    segment.seq = {isn_[line.client ? tcp::opener : tcp::listener] + line.numbers[0]};
    if (segment.flags.ack()) segment.ack = {isn_[line.client ? tcp::listener : tcp::opener] + line.numbers[1]};
    segment.payload_length = line.numbers[2] & 0xffffU;
    segment.window = static_cast<std::uint16_t>(line.numbers[3]);
    segment.ip_id = static_cast<std::uint16_t>(line.numbers[4]);
    segment.ttl = 64;
    const scan::TakenSegment taken = table_.take(frame, static_cast<std::int64_t>(frame) * 1'000'000, segment);
    for (const tcp::EndIndex end : tcp::both_ends) {
      const tcp::End& which = taken.connection->tracker.end(end);
      TCPWHY_CHECK(which.trouble().gaps.size() <= tcp::max_gaps && which.trouble().resent.size() <= tcp::max_gaps);
      TCPWHY_CHECK(which.snd_una <= which.snd_nxt);
      for (const tcp::Gap& gap : which.trouble().gaps) TCPWHY_CHECK(gap.begin < gap.end);
    }
    return taken.verdict;
  }
  const std::string& finish() {
    table_.finish();
    return records_;
  }

 private:
  tcp::PerSide<std::uint32_t> isn_;
  std::string records_;
  scan::ConnectionTable table_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  Table here(1000, 2000), there(0xffff'fff0, 0x7fff'ffff);
  std::uint64_t frame = 0;
  for (const Line& line : parse(text)) {
    ++frame;
    const tcp::Verdict one = here.take(line, frame), other = there.take(line, frame);
    TCPWHY_CHECK(one.kind == other.kind && one.marks == other.marks && one.reset_cause == other.reset_cause);
    TCPWHY_CHECK(one.seq == other.seq && one.in_flight >= 0);
  }
  TCPWHY_CHECK(here.finish() == there.finish());
  return 0;
}
