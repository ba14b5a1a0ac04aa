// Input: a capture file. From its bytes to the tables that read prints of it, of each input some, chosen by its bytes, for they are what
// takes the time; what was analysed is within its bounds.
// libFuzzer: -max_len=8192
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "capfile/input/unpacked_source.h"
#include "scan/connections/analysis.h"
#include "scan/tables/groups/groups_text.h"
#include "scan/tables/summary/summary_text.h"
#include "scan/tables/where/where.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy;
  if (capfile::is_compressed({data, size})) return -1;  // of fuzz_capture: a few bytes stand for millions of packets
  auto reader = scan::FrameReader::from_memory(std::span(data, size), "fuzz");
  if (!reader) return 0;
  static const auto where = scan::Where::parse("reset or retransmissions > 0 or client ~ 1");
  std::vector<const scan::Field*> columns;
  for (const scan::Field& field : scan::fields()) columns.push_back(&field);
  scan::Summary summary;
  scan::StreamNumbers streams;
  scan::Greatest worst(10, scan::worse);
  scan::Examples examples;
  static const auto by = scan::Grouping::parse("problems");
  scan::Groups groups(*by);
  std::uint64_t segments = 0, matching = 0;
  const std::size_t choice = std::hash<std::string_view>{}({reinterpret_cast<const char*>(data), size});
  const auto outcome = scan::analyse(std::move(*reader), {.threads = 1, .limits = {.open = 50, .over = 10}},
                                     [&](std::span<const scan::ConnectionRecord> records) {
                                       for (const auto& record : records) {
                                         const auto problems = scan::problems_of(record);
                                         const scan::Row row{record, problems, {}};
                                         matching += where->holds(row) ? 1 : 0;
                                         const auto line = choice % 2 == 0 ? scan::csv_line(row, columns)
                                                                           : scan::ndjson_line(row, columns);
                                         TCPWHY_CHECK(line.ends_with('\n'));
                                         segments += record.segments();
                                         summary.add(record, problems);
                                         streams.put(record.first_frame);
                                         worst.put(record, problems);
                                         examples.put(record, problems);
                                         groups.put(row);
                                       }
                                     });
  streams.sort();
  // Every segment belongs to one connection; a SYN that waited for its answer may be counted in both.
  TCPWHY_CHECK(segments >= outcome.totals.segments);
  TCPWHY_CHECK(matching <= summary.connections);
  const auto kept = worst.in_order();
  const auto first = examples.chosen(10);
  const auto shown = groups.shown(3, {});
  TCPWHY_CHECK(groups.connections() == summary.connections);
  const auto text = [&]() -> std::string {
    switch (choice / 2 % 3) {
      case 0:
        return scan::summary_text({.name = "fuzz",
                                   .outcome = outcome,
                                   .summary = summary,
                                   .of = std::nullopt,
                                   .first = first,
                                   .streams = streams},
                                  {});
      case 1: return scan::groups_text({.name = "fuzz", .groups = groups, .shown = shown, .of = std::nullopt}, {});
      default:
        return scan::table_text({.rows = kept,
                                 .columns = columns,
                                 .streams = streams,
                                 .wanted = summary.connections,
                                 .of = summary.connections},
                                {});
    }
  }();
  bool sound = true;  // one test at the end: the sanitizers watch each branch
  for (const char c : text) sound &= (c == '\n') | (static_cast<unsigned char>(c) >= 0x20);
  TCPWHY_CHECK(sound);
  return 0;
}
