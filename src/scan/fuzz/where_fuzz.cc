// Any text is an expression of --where, or an error that says where it is wrong; the same for --conn and --by. What is one holds or
// doesn't, its negation the other way round, whatever the connection.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "scan/connections/connection_table.h"
#include "scan/connections/pick_connection.h"
#include "scan/tables/groups/groups.h"
#include "scan/tables/where/where.h"

namespace {

using namespace tcpwhy;

wire::TcpSegment segment_of(bool client, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack,
                            std::uint32_t length) {
  const wire::SocketAddress ends[] = {{wire::IpAddress::v4(std::array<std::uint8_t, 4>{192, 0, 2, 1}), 40000},
                                      {wire::IpAddress::v4(std::array<std::uint8_t, 4>{192, 0, 2, 2}), 80}};
  wire::TcpSegment segment;
  segment.source = ends[client ? 0 : 1], segment.destination = ends[client ? 1 : 0];
  segment.flags.bits = flags;
  segment.seq = {seq}, segment.ack = {ack};
  segment.payload_length = length;
  segment.window = 512, segment.ttl = 64;
  return segment;
}

// One that was closed in order, one that was reset, one of which little was seen.
std::vector<scan::ConnectionRecord> make_records() {
  std::vector<scan::ConnectionRecord> records;
  const auto tell = [&](std::initializer_list<wire::TcpSegment> segments) {
    scan::ConnectionTable table({.open = 10, .over = 5}, 1, [&](scan::Connection& connection, scan::Left left) {
      records.push_back(scan::record_of(connection, left));
    });
    std::uint64_t frame = 0;
    for (const auto& segment : segments) {
      ++frame;
      table.take(frame, static_cast<std::int64_t>(frame) * 1'000'000, segment);
    }
    table.finish();
  };
  using Number = std::uint32_t;
  const auto c = [](std::uint16_t flags, Number seq, Number ack, Number length) {
    return segment_of(true, flags, seq, ack, length);
  };
  const auto s = [](std::uint16_t flags, Number seq, Number ack, Number length) {
    return segment_of(false, flags, seq, ack, length);
  };
  tell({c(2, 0, 0, 0), s(18, 0, 1, 0), c(16, 1, 1, 0), c(24, 1, 1, 100), s(16, 1, 101, 0), s(17, 1, 101, 0),
        c(17, 101, 2, 0), s(16, 2, 102, 0)});
  tell({c(2, 0, 0, 0), s(18, 0, 1, 0), c(16, 1, 1, 0), c(24, 1, 1, 100), c(24, 1, 1, 100), s(4, 1, 0, 0)});
  tell({s(16, 7, 9, 1000)});
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto records = make_records();
  const std::string text(data, data + size);
  const auto where = scan::Where::parse(text);
  const auto opposite = scan::Where::parse("not (" + text + ")");
  if (!where) {
    TCPWHY_CHECK(where.error().kind == base::ErrorKind::usage);
    TCPWHY_CHECK(where.error().message.en.find('\n') == std::string::npos);
    for (const char letter : where.error().message.en + where.error().hint.en)
      TCPWHY_CHECK(letter == '\n' || static_cast<unsigned char>(letter) >= 0x20);
  }
  for (const auto& record : records) {
    const auto problems = scan::problems_of(record);
    const scan::Row row{record, problems, {}};
    if (!where) continue;
    const bool holds = where->holds(row);
    if (opposite) TCPWHY_CHECK(opposite->holds(row) != holds);  // nested too deep, where it is none
  }
  if (const auto grouping = scan::Grouping::parse(text))
    for (const auto& record : records) {
      const auto problems = scan::problems_of(record);
      const scan::Row row{record, problems, {}};
      // What selects a group holds of those who are in it.
      for (const auto& group : grouping->groups_of(row)) {
        const auto of_group = scan::Where::parse(grouping->where(group));
        TCPWHY_CHECK(of_group && of_group->holds(row));
      }
    }
  if (const auto end = scan::EndPattern::parse(text))
    for (const auto& record : records) (void)end->matches(record.addresses[scan::opener]);
  return 0;
}
