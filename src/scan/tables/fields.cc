#include "scan/tables/fields.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/wire_counters.h"
#include "scan/connections/network.h"
#include "scan/tables/nearest.h"
#include "wire/ip/icmp_words.h"

namespace tcpwhy::scan {
namespace {

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

FieldValue positive(std::int64_t value) { return value < 0 ? FieldValue() : FieldValue(value); }
FieldValue microseconds(std::uint32_t us) { return us == 0 ? FieldValue() : FieldValue(std::int64_t{us} * 1000); }
FieldValue frame(std::uint64_t frame) { return frame == 0 ? FieldValue() : FieldValue(number(frame)); }
FieldValue end_word(std::optional<Side> end) {
  return !end ? FieldValue() : FieldValue(std::string(*end == opener ? "client" : "server"));
}
std::string text(std::string_view word) { return std::string(word); }

using Words = std::vector<std::string_view>;

// The names of an enumeration whose first value has the number `first`.
template <class Enum, std::size_t count, std::size_t first = 0>
Words names() {
  Words all;
  for (std::size_t i = first; i < count; ++i) all.push_back(name(static_cast<Enum>(i)));
  return all;
}
Words both_ends() { return {"client", "server"}; }
Words ids_of_problems() {
  Words all;
  for (const ProblemRule& rule : problem_rules()) all.push_back(rule.id);
  return all;
}
Words severities_of_problems() {
  Words all;
  for (const ProblemRule& rule : problem_rules())
    if (const auto severity = explain::name(rule.severity); std::ranges::find(all, severity) == all.end())
      all.push_back(severity);
  return all;
}
// Version 1: "1:" and a SHA-1 in base64.
bool may_be_community_id(std::string_view text) { return text.starts_with("1:") && text.size() == 30; }

std::string network_of(const Row& row, Side side) {
  return to_string(Network::around(row.record.addresses[side].ip, 24, 64));
}

#define OF_BOTH(field) [](const Row& row) -> FieldValue { return number(row.record.sum(&EndRecord::field)); }
#define OF_END(end, field) [](const Row& row) -> FieldValue { return number(row.record.ends[end].field); }

constexpr Field before[] = {
    {"stream",
     {"number in order of first frames, from 0", "按首帧顺序的编号，从 0 起"},
     Unit::none,
     [](const Row& row) -> FieldValue { return row.stream ? FieldValue(number(*row.stream)) : FieldValue(); }},
    {"frame", {"first frame", "首帧"}, Unit::none, [](const Row& row) { return frame(row.record.first_frame); }},
    {"last.frame", {"last frame", "末帧"}, Unit::none, [](const Row& row) { return frame(row.record.last_frame); }},
    {"began",
     {"time of the first segment", "首个报文段的时间"},
     Unit::wall_time,
     [](const Row& row) -> FieldValue { return row.record.began_ns; },
     Type::integer,
     {.least = INT64_MIN}},
    {"duration",
     {"from the first segment to the last", "从首个到最后一个报文段"},
     Unit::nanoseconds,
     [](const Row& row) -> FieldValue { return row.record.duration_ns(); },
     Type::integer,
     {.least = INT64_MIN}},
    {"client",
     {"who opened it, or is taken for that by the ports (client.known)",
      "发起方，或按端口推断的发起方（client.known）"},
     Unit::none,
     [](const Row& row) -> FieldValue { return wire::to_string(row.record.addresses[opener]); },
     Type::end},
    {"server",
     {"the other end", "另一端"},
     Unit::none,
     [](const Row& row) -> FieldValue { return wire::to_string(row.record.addresses[listener]); },
     Type::end,
     {.side = listener}},
    {"client.ip",
     {},
     Unit::none,
     [](const Row& row) -> FieldValue { return wire::to_string(row.record.addresses[opener].ip); },
     Type::address},
    {"client.port",
     {},
     Unit::none,
     [](const Row& row) -> FieldValue { return std::int64_t{row.record.addresses[opener].port}; },
     Type::integer,
     {.most = UINT16_MAX}},
    {"client.net",
     {"its network: 24 bits of an IPv4 address, 64 of an IPv6 address", "其网络：IPv4 地址取 24 位，IPv6 地址取 64 位"},
     Unit::none,
     [](const Row& row) -> FieldValue { return network_of(row, opener); },
     Type::network},
    {"server.ip",
     {},
     Unit::none,
     [](const Row& row) -> FieldValue { return wire::to_string(row.record.addresses[listener].ip); },
     Type::address,
     {.side = listener}},
    {"server.port",
     {},
     Unit::none,
     [](const Row& row) -> FieldValue { return std::int64_t{row.record.addresses[listener].port}; },
     Type::integer,
     {.most = UINT16_MAX}},
    {"server.net",
     {},
     Unit::none,
     [](const Row& row) -> FieldValue { return network_of(row, listener); },
     Type::network,
     {.side = listener}},
    {"client.known",
     {"a SYN or SYN-ACK told who opened", "由 SYN 或 SYN-ACK 得知发起方"},
     Unit::none,
     [](const Row& row) -> FieldValue { return row.record.opener_known; },
     Type::boolean},
    {"opening",
     {"how it was opened, as far as the capture shows", "连接如何建立（以抓包所见为限）"},
     Unit::none,
     [](const Row& row) -> FieldValue { return text(name(row.record.opening)); },
     Type::text,
     {names<Opening, opening_count>}},
    {"ending",
     {"how it ended", "连接如何结束"},
     Unit::none,
     [](const Row& row) -> FieldValue { return text(name(row.record.ending)); },
     Type::text,
     {names<Ending, ending_count>}},
    {"closed.by",
     {"who closed first, by FIN or reset", "谁先关闭（FIN 或复位）"},
     Unit::none,
     [](const Row& row) { return end_word(row.record.closed_by); },
     Type::text,
     {both_ends}},
    {"reset",
     {"a reset that its receiver took", "被接收方接受的复位"},
     Unit::none,
     [](const Row& row) -> FieldValue { return row.record.reset_cause != tcp::ResetCause::none; },
     Type::boolean},
    {"reset.cause",
     {"why (docs/CAPTURES.md)", "复位原因（docs/CAPTURES.md）"},
     Unit::none,
     [](const Row& row) -> FieldValue {
       return row.record.reset_cause == tcp::ResetCause::none ? FieldValue()
                                                              : FieldValue(text(name(row.record.reset_cause)));
     },
     Type::text,
     {names<tcp::ResetCause, tcp::reset_cause_count, 1>}},
    {"reset.by",
     {"who sent that reset", "谁发出该复位"},
     Unit::none,
     [](const Row& row) { return end_word(row.record.reset_by); },
     Type::text,
     {both_ends}},
    {"reset.frame", {}, Unit::none, [](const Row& row) { return frame(row.record.reset_frame); }},
    {"reset.assumed",
     {"another cause looks alike", "另有原因在抓包中看起来一样"},
     Unit::none,
     [](const Row& row) -> FieldValue { return row.record.reset_assumed; },
     Type::boolean},
    {"client.state",
     {"RFC 9293's, as the wire shows it at the end", "RFC 9293 的状态，按线上最后所见"},
     Unit::none,
     [](const Row& row) -> FieldValue { return text(name(row.record.ends[opener].state)); },
     Type::text,
     {names<tcp::State, tcp::state_count>}},
    {"server.state",
     {},
     Unit::none,
     [](const Row& row) -> FieldValue { return text(name(row.record.ends[listener].state)); },
     Type::text,
     {names<tcp::State, tcp::state_count>}},
    {"segments", {"of both", "两端合计"}, Unit::none, OF_BOTH(segments)},
    {"client.segments", {}, Unit::none, OF_END(opener, segments)},
    {"server.segments", {}, Unit::none, OF_END(listener, segments)},
    {"bytes", {"payload, each byte once", "载荷，每个字节只计一次"}, Unit::bytes, OF_BOTH(bytes)},
    {"client.bytes", {}, Unit::bytes, OF_END(opener, bytes)},
    {"server.bytes", {}, Unit::bytes, OF_END(listener, bytes)},
    {"missing.bytes",
     {"acknowledged, but not in the capture", "已被确认但不在抓包中"},
     Unit::bytes,
     OF_BOTH(unseen_bytes)},
    {"retransmissions", {}, Unit::none, OF_BOTH(retransmissions)},
    {"client.retransmissions", {}, Unit::none, OF_END(opener, retransmissions)},
    {"server.retransmissions", {}, Unit::none, OF_END(listener, retransmissions)},
    {"resent.bytes", {"payload of retransmissions", "重传的载荷"}, Unit::bytes, OF_BOTH(resent_bytes)},
};

constexpr Field behind[] = {
    {"server.rtt",
     {"of the handshake: SYN to SYN-ACK", "握手中从 SYN 到 SYN-ACK"},
     Unit::nanoseconds,
     [](const Row& row) { return positive(row.record.listener_rtt_ns); }},
    {"client.rtt",
     {"of the handshake: SYN-ACK to ACK", "握手中从 SYN-ACK 到 ACK"},
     Unit::nanoseconds,
     [](const Row& row) { return positive(row.record.opener_rtt_ns); }},
    {"client.srtt",
     {"smoothed, of the client's data, at the tap", "客户端数据的平滑值，在抓包点测得"},
     Unit::nanoseconds,
     [](const Row& row) { return microseconds(row.record.ends[opener].srtt_us); }},
    {"server.srtt",
     {},
     Unit::nanoseconds,
     [](const Row& row) { return microseconds(row.record.ends[listener].srtt_us); }},
    {"icmp",
     {"what an ICMP error said that quoted a segment of it", "引用其报文段的 ICMP 错误所述"},
     Unit::none,
     [](const Row& row) -> FieldValue {
       return row.record.icmp.frame == 0 ? FieldValue()
                                         : FieldValue(std::string(wire::words_for(row.record.icmp.error)));
     },
     Type::text,
     {wire::icmp_error_words}},
    {"reuse",
     {"how many connections came before it between the same addresses", "相同地址之间此前有过多少连接"},
     Unit::none,
     [](const Row& row) -> FieldValue { return number(row.record.reuse); }},
    {"problems",
     {"ids of what is wrong, worst first", "问题的 id，最严重的在前"},
     Unit::none,
     [](const Row& row) -> FieldValue {
       std::vector<std::string_view> ids;
       for (const Problem& problem : row.problems) ids.push_back(problem.rule->id);
       return ids;
     },
     Type::list,
     {ids_of_problems}},
    {"severity",
     {"of the worst problem", "最严重问题的级别"},
     Unit::none,
     [](const Row& row) -> FieldValue {
       return row.problems.empty() ? FieldValue()
                                   : FieldValue(text(explain::name(row.problems.front().rule->severity)));
     },
     Type::text,
     {severities_of_problems}},
    {"community.id",
     {"Community ID, version 1", "Community ID 第 1 版"},
     Unit::none,
     [](const Row& row) -> FieldValue { return community_id(row.record); },
     Type::text,
     {.form = {"1: and 28 characters", "1: 加 28 个字符"}, .may_be = may_be_community_id}},
};

#undef OF_BOTH
#undef OF_END

constexpr std::size_t counter_fields = static_cast<std::size_t>(
    std::ranges::count_if(explain::wire_counters, [](const auto& counter) { return !counter.field.empty(); }));

template <std::size_t I>
FieldValue sum_of_counter(const Row& row) {
  return number(row.record.sum(explain::wire_counters[I].member));
}

constexpr auto table = [] {
  std::array<Field, std::size(before) + counter_fields + std::size(behind)> all{};
  auto to = std::ranges::copy(before, all.begin()).out;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    const auto add = [&](const explain::WireCounter& counter, FieldValue (*value)(const Row&)) {
      if (!counter.field.empty()) *to++ = {counter.field, counter.what, Unit::none, value};
    };
    (add(explain::wire_counters[I], sum_of_counter<I>), ...);
  }(std::make_index_sequence<std::size(explain::wire_counters)>());
  std::ranges::copy(behind, to);
  return all;
}();

std::string time_cell(std::int64_t ns) {
  const auto at = base::wall_from_ns(ns);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:06}Z", fmt::gmtime(seconds.time_since_epoch().count()),
                     std::chrono::duration_cast<std::chrono::microseconds>(at - seconds).count());
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

}  // namespace

std::span<const Field> fields() { return table; }

const Field* find_field(std::string_view name) {
  const auto same = [name](const Field& field) {
    return std::ranges::equal(field.name, name, [](char a, char b) { return a == b || (a == '.' && b == '_'); });
  };
  const auto* row = std::ranges::find_if(table, same);
  return row == std::end(table) ? nullptr : row;
}

std::string_view nearest_field(std::string_view name) {
  std::vector<std::string_view> names;
  // Of two that end alike the server's is more often meant.
  for (const Field& field : table)
    if (field.type == Type::network || field.name.starts_with("server")) names.push_back(field.name);
  for (const Field& field : table) names.push_back(field.name);
  return nearest(name, names);
}

base::OwnedText hint_for_field(std::string_view name) {
  return base::format({"{}tcpwhy read --fields lists them", "{}tcpwhy read --fields 列出所有字段"},
                      did_you_mean(nearest_field(name)));
}

base::OwnedText values_in_words(const Field& field) {
  switch (field.type) {
    case Type::boolean: return base::both("true, false");
    case Type::end:
      return {"address and port, either alone, or a network: 10.0.0.1:443, ::1, :443, 10.0.0.0/24",
              "地址和端口，或其中之一，或网络：10.0.0.1:443, ::1, :443, 10.0.0.0/24"};
    case Type::address:
    case Type::network:
      return {"address or network: 10.0.0.1, 10.0.0.0/24, 2001:db8::/32",
              "地址或网络：10.0.0.1, 10.0.0.0/24, 2001:db8::/32"};
    case Type::text:
    case Type::list:
      return field.values.words != nullptr ? base::both(fmt::format("{}", fmt::join(field.values.words(), ", ")))
                                           : base::owned(field.values.form);
    case Type::integer: break;
  }
  switch (field.unit) {
    case Unit::bytes: return {"bytes: 3000, 10kB, 2.5MB, 1GB", "字节数：3000, 10kB, 2.5MB, 1GB"};
    case Unit::nanoseconds: return {"a time: 800us, 20ms, 1.5s, 2min, 1h", "时间：800us, 20ms, 1.5s, 2min, 1h"};
    case Unit::wall_time: return {"seconds since 1970", "自 1970 年起的秒数"};
    case Unit::none: break;
  }
  if (field.values.most == INT64_MAX) return {"a number", "数字"};
  return base::format({"{} to {}", "{} 到 {}"}, field.values.least, field.values.most);
}

bool has_few_values(const Field& field) {
  return field.type == Type::integer ? field.values.most != INT64_MAX
                                     : field.type != Type::text || field.values.words != nullptr;
}

bool is_for_every_table(const Field& field) { return field.name != "stream" && field.type != Type::network; }

bool comes_before(const FieldValue& a, const FieldValue& b, bool descending) {
  if (a.index() != b.index()) return a.index() > b.index();
  return descending ? b < a : a < b;
}

std::string to_cell(const FieldValue& value, Unit unit) {
  return std::visit(
      Overloaded{
          [](std::monostate) { return std::string(); },
          [](bool yes) { return std::string(yes ? "yes" : ""); },
          [unit](std::int64_t number) {
            switch (unit) {
              case Unit::bytes: return base::bytes_in_words(static_cast<std::uint64_t>(number));
              case Unit::nanoseconds: return base::duration_cell(base::Duration(number));
              case Unit::wall_time: return time_cell(number);
              case Unit::none: break;
            }
            return fmt::format("{}", number);
          },
          [](const std::string& text) { return base::escape_controls(text); },
          [](const std::vector<std::string_view>& list) { return fmt::format("{}", fmt::join(list, ",")); },
      },
      value);
}

namespace {

void append_number(std::string& out, std::int64_t number) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

void append_quoted(std::string& out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  out += '"';
}

void append_csv(std::string& out, const FieldValue& value) {
  std::visit(Overloaded{
                 [](std::monostate) {},
                 [&](bool yes) { out += yes ? "true" : "false"; },
                 [&](std::int64_t number) { append_number(out, number); },
                 [&](const std::string& text) { append_quoted(out, text); },
                 [&](const std::vector<std::string_view>& list) {
                   append_quoted(out, fmt::format("{}", fmt::join(list, " ")));
                 },
             },
             value);
}

void append_json(std::string& out, const FieldValue& value) {
  std::visit(Overloaded{
                 [&](std::monostate) { out += "null"; },
                 [&](bool yes) { out += yes ? "true" : "false"; },
                 [&](std::int64_t number) { append_number(out, number); },
                 [&](const std::string& text) { out += json_text(text); },
                 [&](const std::vector<std::string_view>& list) {
                   out += '[';
                   for (const char* comma = ""; const std::string_view item : list)
                     out += std::exchange(comma, ",") + json_text(item);
                   out += ']';
                 },
             },
             value);
}

}  // namespace

std::string to_csv(const FieldValue& value) {
  std::string out;
  append_csv(out, value);
  return out;
}

std::string to_json(const FieldValue& value) {
  std::string out;
  append_json(out, value);
  return out;
}

std::string column_name(std::string_view name) {
  std::string column(name);
  for (char& c : column)
    if (c == '.' || c == '-') c = '_';
  return column;
}

std::string csv_header(std::span<const Field* const> columns) {
  std::string line;
  for (const Field* column : columns) line += (line.empty() ? "" : ",") + column_name(column->name);
  return line + "\n";
}

std::string csv_line(const Row& row, std::span<const Field* const> columns) {
  std::string line;
  for (const Field* column : columns) {
    append_csv(line, column->value(row));
    line += ',';
  }
  (columns.empty() ? line.append(1, '\n') : line).back() = '\n';
  return line;
}

std::string ndjson_line(const Row& row, std::span<const Field* const> columns) {
  std::string line;
  for (const Field* column : columns) {
    line += line.empty() ? "{\"" : ",\"";
    line += column_name(column->name);
    line += "\":";
    append_json(line, column->value(row));
  }
  return (line.empty() ? line + '{' : line) + "}\n";
}

}  // namespace tcpwhy::scan
