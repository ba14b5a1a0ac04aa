#include "cli/read/read_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace tcpwhy::cli {
namespace {

using NamesFile = std::function<bool(const std::string& word)>;

// The words that an expression of pcap-filter(7) can begin with, beside numbers, names of hosts, "(" and "!".
constexpr std::string_view first_words[] = {
    "host",       "net",       "port",      "portrange", "src",   "dst",     "gateway",  "less",   "greater", "proto",
    "protochain", "ether",     "fddi",      "tr",        "wlan",  "ip",      "ip6",      "arp",    "rarp",    "decnet",
    "tcp",        "udp",       "sctp",      "icmp",      "icmp6", "igmp",    "igrp",     "pim",    "vrrp",    "ah",
    "esp",        "broadcast", "multicast", "atalk",     "aarp",  "iso",     "stp",      "ipx",    "netbeui", "vlan",
    "mpls",       "pppoed",    "pppoes",    "geneve",    "vxlan", "inbound", "outbound", "ifname", "on",      "len",
    "not",        "ifindex",   "type",      "link",      "ra",    "ta",      "addr1"};

std::string_view first_word(std::string_view text) { return text.substr(0, text.find_first_of(" \t\n[(:")); }

bool begins_a_filter(std::string_view word) {
  return word.starts_with('(') || word.starts_with('!') ||
         std::ranges::find(first_words, first_word(word)) != std::end(first_words);
}

// 10/8, 192.168.0.0/16, 2001:db8::/32: numbers, a slash, a number.
bool is_network(std::string_view word) {
  const auto slash = word.find('/');
  return slash != 0 && word.find_first_not_of("0123456789abcdefABCDEF.:") == slash && slash + 1 < word.size() &&
         word.find_first_not_of("0123456789", slash + 1) == std::string_view::npos;
}

// What captures are called: x.pcap, x.pcapng.gz, x.pcap12 as tcpdump -C has it.
bool has_name_of_capture(std::string_view word) {
  constexpr std::string_view endings[] = {".pcap", ".pcapng", ".cap", ".ntar", ".snoop", ".dmp", ".trace", ".trc"};
  for (const std::string_view packed : {".gz", ".zst", ".xz", ".bz2", ".lz4"})
    if (word.ends_with(packed)) return true;
  while (!word.empty() && word.back() >= '0' && word.back() <= '9') word.remove_suffix(1);
  return std::ranges::any_of(endings, [word](std::string_view ending) { return word.ends_with(ending); });
}

bool looks_like_file(std::string_view word) {
  if (begins_a_filter(word)) return false;
  return has_name_of_capture(word) ||
         (word.find('/') != std::string_view::npos && !is_network(first_word(word)) && !is_network(word));
}

}  // namespace

ReadWords sort_words(const std::vector<std::string>& words, const NamesFile& names_file) {
  ReadWords sorted;
  auto word = words.begin();
  while (word != words.end() && (sorted.files.empty() || names_file(*word) || looks_like_file(*word)))
    sorted.files.push_back(*word++);
  sorted.filter = fmt::format("{}", fmt::join(word, words.end(), " "));
  return sorted;
}

base::Error explain_filter(base::Error error, const ReadWords& words, const NamesFile& names_file) {
  const std::string& filter = words.filter;
  if (!begins_a_filter(filter) && filter.find(' ') == std::string::npos)
    return {base::ErrorKind::unreadable,
            base::format({"{}: there is no such file", "{}：没有这个文件"}, base::escape_controls(filter)),
            base::format({"as a filter it is none either: {}", "它也不是过滤器：{}"}, error.message)};
  for (std::size_t begin = 0; begin < filter.size();) {
    const std::size_t end = std::min(filter.find(' ', begin), filter.size());
    const std::string word = filter.substr(begin, end - begin);
    if (has_name_of_capture(word) && names_file(word)) {
      error.hint = base::format({"{} is a file: files stand before the filter", "{} 是文件：文件须写在过滤器之前"},
                                base::escape_controls(word));
      break;
    }
    begin = end + 1;
  }
  return error;
}

}  // namespace tcpwhy::cli
