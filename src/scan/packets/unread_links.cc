#include "scan/packets/unread_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/units.h"

namespace tcpwhy::scan {
namespace {

std::string named(wire::LinkType link_type) {
  const auto number = static_cast<unsigned>(link_type);
  const std::string_view name = wire::name_of(link_type);
  return name.empty() ? fmt::format("{}", number) : fmt::format("{} ({})", name, number);
}

}  // namespace

void UnreadLinks::add(wire::LinkType link_type) {
  ++packets_;
  const auto row = std::ranges::find(by_type_, link_type, [](const auto& counted) { return counted.first; });
  if (row != by_type_.end()) {
    ++row->second;
  } else if (by_type_.size() < most_types) {
    by_type_.emplace_back(link_type, 1);
  }
}

base::OwnedText UnreadLinks::in_words() const {
  if (packets_ == 0) return {};
  constexpr std::size_t most_named = 4;
  // The commonest first.
  auto types = by_type_;
  std::ranges::stable_sort(types, [](const auto& a, const auto& b) { return a.second > b.second; });
  base::OwnedText names;
  for (const auto& [link_type, packets] : std::span(types).first(std::min(types.size(), most_named))) {
    const std::string name = named(link_type);
    names.join({", ", "、"}, {name, name});
  }
  if (types.size() > most_named) names.join({", ", ""}, {"and others", "等"});
  const std::string count = base::grouped(packets_);
  if (packets_ == 1)
    return {fmt::format("{} packet of a link type that is not known: {}", count, names.en),
            fmt::format("{} 个报文的链路类型未知：{}", count, names.zh)};
  return {fmt::format("{} packets of {}: {}", count,
                      types.size() > 1 ? "link types that are not known" : "a link type that is not known", names.en),
          fmt::format("{} 个报文的链路类型未知：{}", count, names.zh)};
}

base::Status UnreadLinks::status() const {
  if (packets_ == 0 || packets_ < of_) return {};
  return base::fail(base::ErrorKind::unreadable,
                    base::format({"nothing can be read: {}", "无法读取任何内容：{}"}, in_words()),
                    {"tcpdump and Wireshark know some that are not looked into here",
                     "tcpdump 和 Wireshark 认识其中一些此处不解析的类型"});
}

}  // namespace tcpwhy::scan
