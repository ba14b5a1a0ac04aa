// Input: a capture file. From its bytes to every table that read prints of it; what was analysed is within its bounds.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "scan/analysis.h"
#include "scan/summary_text.h"
#include "scan/where.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy;
  auto reader = scan::FrameReader::from_memory(std::span(data, size), "fuzz");
  if (!reader) return 0;
  static const auto where = scan::Where::parse("reset or retransmissions > 0 or client ~ 1");
  std::vector<const scan::Field*> columns;
  for (const scan::Field& field : scan::fields()) columns.push_back(&field);
  scan::Summary summary;
  scan::StreamNumbers streams;
  scan::Greatest worst(10, scan::worse);
  std::uint64_t segments = 0, matching = 0;
  const auto outcome = scan::analyse(std::move(*reader), {.threads = 1, .limits = {.open = 50, .over = 10}},
                                     [&](std::span<const scan::ConnectionRecord> records) {
                                       for (const auto& record : records) {
                                         const auto problems = scan::problems_of(record);
                                         const scan::Row row{record, problems, {}};
                                         matching += where->holds(row) ? 1 : 0;
                                         TCPWHY_CHECK(scan::csv_line(row, columns).ends_with('\n'));
                                         TCPWHY_CHECK(scan::ndjson_line(row, columns).find('\n') != std::string::npos);
                                         segments += record.segments();
                                         summary.add(record, problems);
                                         streams.put(record.first_frame);
                                         worst.put(record, problems);
                                       }
                                     });
  streams.sort();
  // Every segment belongs to one connection; a SYN that waited for its answer may be counted in both.
  TCPWHY_CHECK(segments >= outcome.totals.segments);
  TCPWHY_CHECK(matching <= summary.connections);
  const auto kept = worst.in_order();
  const std::string text = scan::summary_text("fuzz", outcome.totals, summary, kept, streams, {});
  for (const char c : text + scan::table_text(kept, columns, streams, {}))
    TCPWHY_CHECK(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  return 0;
}
