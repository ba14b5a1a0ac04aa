// A row of tests/kernel/measured/scenarios.tsv as an account.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>

#include "base/testing/data.h"
#include "cli/kernel_experiments/account.h"

namespace tcpwhy::cli::kernel_experiments {
namespace {

// Every segment that a TIME-WAIT or FIN-WAIT-2 entry handles, pure ACKs to a half-closed socket and deferred ACKs are freed
// without a reason; an unread FIN is freed with the queue; and the other program lost packets by its firewall where our link
// loses them.
constexpr std::string_view noise[] = {"NOT_SPECIFIED", "QUEUE_PURGE", "NETFILTER_DROP"};

// "x3" at the end: so many times.
int take_count(std::string& text) {
  static const std::regex times(R"( x(\d+)$)");
  std::smatch found;
  if (!std::regex_search(text, found, times)) return 1;
  const int count = std::stoi(found[1]);
  text = found.prefix();
  return count;
}

void add(Lines& lines, std::string text) {
  for (int count = take_count(text); count > 0; --count) lines.push_back(text);
}

Lines calls_of(const std::string& column) {
  // WHO.call(arguments)=result [12ms]
  static const std::regex call(R"(^\s*[A-Za-z0-9]+\.([A-Za-z0-9_]+)(\{[^}]*\}|\([^)]*\))?='?(.*?)'?( \[\d+ms\])?$)");
  Lines calls;
  for (const std::string& text : split(column, "; ")) {
    std::smatch found;
    if (!std::regex_match(text, found, call)) continue;
    std::string name = found[1], result = found[3];
    if (name.starts_with("SO_") || name.starts_with("TCP_"))
      name = found[2].matched && found[2].length() > 0 ? "setsockopt" : "getsockopt";
    name = plain_call_name(name);
    if (const auto bytes = result.find(" b'"); bytes != std::string::npos)
      result.replace(bytes, 3, " '"), result += "'";
    if (name == "recv" && result.ends_with("''")) result.pop_back();
    // The other program gave a call up that did not come back in its time.
    if (result == "-1 TIMEOUT(harness)")
      calls.push_back(name + std::string(never_back_words));
    else
      calls.push_back(fmt::format("{} = {}", name, result));
  }
  return calls;
}

// tcpdump's order, which the other program did not keep: [PU.] is [P.U].
std::string in_tcpdumps_order(std::string flags) {
  static constexpr std::string_view order = "[FSRP.UEW]";
  std::ranges::sort(flags, {}, [](char flag) { return order.find(flag); });
  return flags;
}

void read_packets(const std::string& column, Account& account) {
  static const std::regex packet(R"(^(?:\+\d+ms )?([^>\s]+)>([^\[\s]+)(\[[^\]]*\])(\S*)(.*)$)");
  std::map<std::string, int> numbers;
  const auto number = [&](const std::string& name) {
    return numbers.try_emplace(name, static_cast<int>(numbers.size()) + 1).first->second;
  };
  for (std::string text : split(column, " | ")) {
    if (text.find("packets in all") != std::string::npos) account.packets_go_on = true;
    for (std::size_t lost; (lost = text.find("✗")) != std::string::npos;) text.erase(lost, std::string("✗").size());
    std::smatch found;
    if (!std::regex_match(text, found, packet)) continue;
    const int from = number(found[1]), to = number(found[2]);
    account.packets.push_back(
        fmt::format("{}>{}{}{}{}", from, to, in_tcpdumps_order(found[3]), found[4].str(), found[5].str()));
  }
}

void read_states(const std::string& column, Account& account) {
  for (const std::string& part : split(column, " ; ")) {
    if (part == "...") account.states_go_on = true;
    const auto colon = part.find(':');
    if (colon == std::string::npos) continue;
    std::string walk = part.substr(colon + 1);
    const int count = take_count(walk);
    if (walk.ends_with(">CLOSE")) walk.resize(walk.size() - 6);
    account.states.insert(account.states.end(), static_cast<std::size_t>(count), walk);
  }
  std::ranges::sort(account.states);
}

// "RST: S:TCP_FLAGS x2, C:TCP_STATE(active) ; RST received by: C, C2 ; drop: C[P.] TCP_FLAGS@tcp_v4_do_rcv x2"
void read_resets_and_drops(const std::string& column, Account& account) {
  for (const std::string& part : split(column, " ; ")) {
    const auto colon = part.find(": ");
    if (colon == std::string::npos) continue;
    const std::string kind = part.substr(0, colon);
    for (std::string item : split(part.substr(colon + 2), ", ")) {
      const int count = take_count(item);
      std::string line = "received";
      if (kind == "RST") line = item.substr(item.find(':') + 1);
      if (kind == "drop") {
        const auto reason = item.find("] ");
        if (reason == std::string::npos) continue;
        line = item.substr(item.find('['), item.find('@') - item.find('['));
        if (is_noise(line.substr(line.find("] ") + 2))) continue;
      }
      Lines& into = kind == "drop" ? account.drops : account.resets;
      into.insert(into.end(), static_cast<std::size_t>(count), line);
    }
  }
  std::ranges::sort(account.resets);
  std::ranges::sort(account.drops);
}

Lines errors_of(const std::string& column) {
  Lines errors;
  for (std::string item : split(column, ", ")) {
    const int count = take_count(item);
    const auto at = item.find("sk_err=");
    if (at == std::string::npos) continue;
    const std::string name = item.substr(at + 7, item.find(' ', at) - at - 7);
    if (name != "0") errors.insert(errors.end(), static_cast<std::size_t>(count), name);
  }
  std::ranges::sort(errors);
  return errors;
}

Lines signals_of(const std::string& column) {
  Lines signals;
  for (std::string item : split(column, ", ")) {
    if (const auto fate = item.find("(IGNORED)"); fate != std::string::npos) item.erase(fate, 9);
    if (!item.empty()) add(signals, item);
  }
  return signals;
}

// {"A": {"TW": 1}, "B": {"TcpOutRsts": 1}}: the hosts together.
Lines counters_of(const std::string& column) {
  static const std::regex counter("\"([A-Za-z0-9]+)\": (-?\\d+)");
  // /proc/net/snmp's; every other one is of /proc/net/netstat, also TcpTimeoutRehash.
  static constexpr std::string_view of_snmp[] = {"AttemptFails", "EstabResets", "OutRsts", "InErrs", "InCsumErrors"};
  std::map<std::string, int> sums;
  for (std::sregex_iterator at(column.begin(), column.end(), counter), end; at != end; ++at) {
    std::string name = (*at)[1];
    const bool plain = name.starts_with("Tcp") && std::ranges::find(of_snmp, name.substr(3)) != std::end(of_snmp);
    sums[plain ? "Tcp." + name.substr(3) : "TcpExt." + name] += std::stoi((*at)[2]);
  }
  Lines counters;
  for (const auto& [name, sum] : sums) counters.push_back(fmt::format("{} {:+}", name, sum));
  return counters;
}

std::string_view column(const Row& row, std::string_view name) {
  const auto found = row.find(name);
  return found == row.end() ? std::string_view{} : std::string_view(found->second);
}

}  // namespace

std::string plain_call_name(const std::string& name) {
  if (name == "sendto" || name == "sendall") return "send";
  if (name == "recvfrom") return "recv";
  if (name == "accept4") return "accept";
  return name;
}

bool is_noise(std::string_view drop_reason) { return std::ranges::find(noise, drop_reason) != std::end(noise); }

Lines split(const std::string& text, const std::string& separator) {
  Lines parts;
  std::size_t start = 0;
  for (auto at = text.find(separator); at != std::string::npos; at = text.find(separator, start)) {
    parts.push_back(text.substr(start, at - start));
    start = at + separator.size();
  }
  parts.push_back(text.substr(start));
  return parts;
}

std::map<std::string, Row> read_table() {
  std::map<std::string, Row> table;
  std::ifstream in(base::testing::own_data("kernel/measured/scenarios.tsv"));
  std::string line;
  if (!std::getline(in, line)) return table;
  const Lines columns = split(line, "\t");
  while (std::getline(in, line)) {
    const Lines cells = split(line, "\t");
    Row row;
    for (std::size_t i = 0; i < std::min(columns.size(), cells.size()); ++i) row[columns[i]] = cells[i];
    table[row["id"]] = row;
  }
  return table;
}

// Some rows were made many times over one after another and list no calls: each connection is as good as another, so one of them
// stands for all. The TIME-WAIT entries say how many there were.
void keep_one_of_many(Account& account) {
  int times = 1;
  for (const auto& line : account.counters)
    if (line.starts_with("TcpExt.TW +")) times = std::stoi(line.substr(11));
  if (times < 2 || !account.calls.empty() || !account.packets_go_on) return;
  for (auto& line : account.counters) {
    const auto plus = line.find(" +");
    const int sum = plus == std::string::npos ? 0 : std::stoi(line.substr(plus + 2));
    if (sum > 0 && sum % times == 0) line = fmt::format("{} +{}", line.substr(0, plus), sum / times);
  }
  // Its list of resets ends in "..." like that of the packets.
  std::erase_if(account.resets, [](const auto& line) { return line.find("...") != std::string::npos; });
  account.resets.erase(std::ranges::unique(account.resets).begin(), account.resets.end());
  account.errors.erase(std::ranges::unique(account.errors).begin(), account.errors.end());
  const auto second = std::ranges::find_if(account.packets, [](const auto& line) { return line.starts_with("3>"); });
  if (second != account.packets.end()) account.packets_go_on = false;
  account.packets.erase(second, account.packets.end());
}

Account measured(const Row& row) {
  Account account;
  account.calls = calls_of(std::string(column(row, "calls")));
  read_packets(std::string(column(row, "packets")), account);
  read_states(std::string(column(row, "states")), account);
  read_resets_and_drops(std::string(column(row, "reset_drop_reason")), account);
  account.errors = errors_of(std::string(column(row, "sk_err")));
  account.signals = signals_of(std::string(column(row, "signals")));
  account.counters = counters_of(std::string(column(row, "netstat_delta")));
  keep_one_of_many(account);
  return account;
}

bool reproducible(const Row& row, std::string_view aspect) {
  const std::string_view said = column(row, "reproducibility");
  if (said.find("differ in") == std::string_view::npos) return true;
  return said.find(aspect == "resets" ? "rst" : aspect) == std::string_view::npos;
}

TEST(MeasuredRow, is_read_aspect_by_aspect) {
  const Account account = measured({
      {"calls",
       "S.close()=0; C.send(5)=5 [6ms]; C.recv()=5 b'hello'; C.send(5)=-1 EPIPE+SIGPIPE; C.SO_ERROR='EPIPE'; "
       "S.SO_LINGER{1,0}=0; L.accept()=fd"},
      {"packets", "C>S[S]0 tfo=req | +42ms S>C[S.]0 a1 | C>S[P.]1:6(5) a2✗ | ... 480 packets in all"},
      {"states", "S:LISTEN>SYN_RECV x2 ; C:CLOSE>SYN_SENT>CLOSE"},
      {"reset_drop_reason",
       "RST: S:TCP_STATE(active) x2, C:NO_SOCKET ; RST received by: C, C2 ; drop: C[P.] TCP_FLAGS@x x2, "
       "C[F.] NOT_SPECIFIED@tcp_v4_rcv"},
      {"sk_err", "C sk_err=EPIPE, S sk_err=0 x2"},
      {"signals", "SIGPIPE x2"},
      {"netstat_delta", R"({"A": {"TW": 1, "TcpOutRsts": 1}, "B": {"TW": 2, "TcpTimeoutRehash": 1}})"},
  });
  EXPECT_EQ(account.calls, (Lines{"close = 0", "send = 5", "recv = 5 'hello'", "send = -1 EPIPE+SIGPIPE",
                                  "getsockopt = EPIPE", "setsockopt = 0", "accept = fd"}));
  EXPECT_EQ(account.packets, (Lines{"1>2[S]0 tfo=req", "2>1[S.]0 a1", "1>2[P.]1:6(5) a2"}));
  EXPECT_TRUE(account.packets_go_on);
  EXPECT_EQ(account.states, (Lines{"CLOSE>SYN_SENT", "LISTEN>SYN_RECV", "LISTEN>SYN_RECV"}));
  EXPECT_EQ(account.resets, (Lines{"NO_SOCKET", "TCP_STATE(active)", "TCP_STATE(active)", "received", "received"}));
  EXPECT_EQ(account.drops, (Lines{"[P.] TCP_FLAGS", "[P.] TCP_FLAGS"}));
  EXPECT_EQ(account.errors, Lines{"EPIPE"});
  EXPECT_EQ(account.signals, (Lines{"SIGPIPE", "SIGPIPE"}));
  EXPECT_EQ(account.counters, (Lines{"Tcp.OutRsts +1", "TcpExt.TW +3", "TcpExt.TcpTimeoutRehash +1"}));
}

}  // namespace tcpwhy::cli::kernel_experiments
