#include "compat/tshark/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "compat/tshark/own_class.h"

namespace tcpwhy::compat::tshark {
namespace {

// What stands in a field's column: one value for each time that the field occurs.
using Values = std::string;

void occur(Values& values, std::string_view value) {
  if (!values.empty()) values += ',';
  values += value;
}

void occur(Values& values, std::uint64_t value) { occur(values, fmt::to_string(value)); }

// Seconds with nine digits.
void occur_time(Values& values, std::int64_t ns) {
  constexpr std::uint64_t second = 1'000'000'000;
  const std::uint64_t size = ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  occur(values, fmt::format("{}{}.{:09}", ns < 0 ? "-" : "", size / second, size % second));
}

template <Verdict verdict>
void put_verdict(const Row& row, Values& values) {
  if (row.findings.verdicts.has(verdict)) occur(values, "1");
}

// What is resent for whatever reason is a retransmission too.
void put_retransmission(const Row& row, Values& values) {
  const Verdicts& verdicts = row.findings.verdicts;
  if (verdicts.has(Verdict::retransmission) || verdicts.has(Verdict::fast_retransmission) ||
      verdicts.has(Verdict::spurious_retransmission)) {
    occur(values, "1");
  }
}

// A field and a note of the same name.
void put_duplicate_ack(const Row& row, Values& values) {
  if (row.findings.verdicts.has(Verdict::duplicate_ack)) occur(values, "1,1");
}

void put_flags(const Row& row, Values& values) {
  if (row.findings.verdicts.any()) occur(values, "1");
}

void put_stream(const Row& row, Values& values) {
  if (row.stream) occur(values, *row.stream);
}

void put_completeness(const Row& row, Values& values) {
  if (row.stream) occur(values, row.completeness);
}

void put_duplicate_ack_number(const Row& row, Values& values) {
  if (row.findings.duplicate_ack_number != 0) occur(values, row.findings.duplicate_ack_number);
}

void put_duplicate_ack_frame(const Row& row, Values& values) {
  if (row.findings.duplicate_ack_number != 0) occur(values, row.findings.duplicate_ack_frame);
}

void put_acks_frame(const Row& row, Values& values) {
  if (row.findings.acks_frame) occur(values, *row.findings.acks_frame);
}

void put_ack_rtt(const Row& row, Values& values) {
  if (row.findings.acks_frame && row.findings.ack_rtt_ns != 0) occur_time(values, row.findings.ack_rtt_ns);
}

void put_initial_rtt(const Row& row, Values& values) {
  if (row.findings.found && row.initial_rtt_ns != 0) occur_time(values, row.initial_rtt_ns);
}

void put_bytes_in_flight(const Row& row, Values& values) {
  if (row.findings.bytes_in_flight != 0) occur(values, row.findings.bytes_in_flight);
}

void put_push_bytes_sent(const Row& row, Values& values) {
  if (row.findings.bytes_in_flight != 0) occur(values, row.findings.push_bytes_sent);
}

void put_rto(const Row& row, Values& values) {
  if (row.findings.rto_ns != 0) occur_time(values, row.findings.rto_ns);
}

void put_rto_frame(const Row& row, Values& values) {
  if (row.findings.rto_ns != 0) occur(values, row.findings.rto_frame);
}

void put_fast_open_syn(const Row& row, Values& values) {
  if (row.fast_open_syn) occur(values, "1");
}

void put_fast_open_ack(const Row& row, Values& values) {
  if (row.fast_open_ack) occur(values, "1");
}

void put_fast_open_ignored(const Row& row, Values& values) {
  if (row.fast_open_ignored) occur(values, "1");
}

struct Field {
  std::string_view name;
  void (*put)(const Row&, Values&);
};

constexpr Field fields[] = {
    {"tcp.stream", put_stream},
    {"tcp.completeness", put_completeness},
    {"tcp.analysis.flags", put_flags},
    {"tcp.analysis.retransmission", put_retransmission},
    {"tcp.analysis.fast_retransmission", put_verdict<Verdict::fast_retransmission>},
    {"tcp.analysis.spurious_retransmission", put_verdict<Verdict::spurious_retransmission>},
    {"tcp.analysis.out_of_order", put_verdict<Verdict::out_of_order>},
    {"tcp.analysis.reused_ports", put_verdict<Verdict::reused_ports>},
    {"tcp.analysis.lost_segment", put_verdict<Verdict::lost_segment>},
    {"tcp.analysis.ack_lost_segment", put_verdict<Verdict::ack_lost_segment>},
    {"tcp.analysis.window_update", put_verdict<Verdict::window_update>},
    {"tcp.analysis.window_full", put_verdict<Verdict::window_full>},
    {"tcp.analysis.keep_alive", put_verdict<Verdict::keep_alive>},
    {"tcp.analysis.keep_alive_ack", put_verdict<Verdict::keep_alive_ack>},
    {"tcp.analysis.duplicate_ack", put_duplicate_ack},
    {"tcp.analysis.duplicate_ack_num", put_duplicate_ack_number},
    {"tcp.analysis.duplicate_ack_frame", put_duplicate_ack_frame},
    {"tcp.analysis.zero_window", put_verdict<Verdict::zero_window>},
    {"tcp.analysis.zero_window_probe", put_verdict<Verdict::zero_window_probe>},
    {"tcp.analysis.zero_window_probe_ack", put_verdict<Verdict::zero_window_probe_ack>},
    {"tcp.analysis.tfo_syn", put_fast_open_syn},
    {"tcp.analysis.tfo_ack", put_fast_open_ack},
    {"tcp.analysis.tfo_ignored", put_fast_open_ignored},
    {"tcp.analysis.acks_frame", put_acks_frame},
    {"tcp.analysis.ack_rtt", put_ack_rtt},
    {"tcp.analysis.initial_rtt", put_initial_rtt},
    {"tcp.analysis.bytes_in_flight", put_bytes_in_flight},
    {"tcp.analysis.push_bytes_sent", put_push_bytes_sent},
    {"tcp.analysis.rto", put_rto},
    {"tcp.analysis.rto_frame", put_rto_frame},
};

constexpr auto names = [] {
  std::array<std::string_view, std::size(fields) + 1> list{"frame.number"};
  for (std::size_t i = 0; i < std::size(fields); ++i) list[i + 1] = fields[i].name;
  return list;
}();

}  // namespace

std::span<const std::string_view> field_names() { return names; }

std::string table_header() { return fmt::format("{}\t{}\n", fmt::join(names, "\t"), own_class_name); }

std::string table_line(std::uint64_t frame, std::span<const Row> rows, std::string_view own_class) {
  std::string line = fmt::to_string(frame);
  for (const Field& field : fields) {
    line += '\t';
    Values values;
    for (const Row& row : rows) field.put(row, values);
    line += values;
  }
  line += '\t';
  line += own_class;
  line += '\n';
  return line;
}

base::Result<Forgotten> write_table(scan::FrameReader& frames, const std::function<bool(std::string_view)>& write,
                                    const Observer::Limits& limits) {
  constexpr std::size_t chunk = 1U << 16U;
  Observer observer(limits);
  OwnClass own(limits);
  scan::Frame frame;
  std::string text = table_header();
  for (;;) {
    const auto more = frames.next(frame);
    if (!more || !*more) {
      write(text);
      if (!more) return std::unexpected(more.error());
      return Forgotten{.connections = observer.forgotten()};
    }
    const auto& rows = observer.observe(frame);
    const std::string ours = own.unlike(frame, rows);
    if (rows.empty()) continue;
    text += table_line(frame.number, rows, ours);
    if (text.size() < chunk) continue;
    if (!write(text)) return Forgotten{.connections = observer.forgotten()};
    text.clear();
  }
}

}  // namespace tcpwhy::compat::tshark
