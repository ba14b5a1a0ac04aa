#include "cli/read/read_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/format.h"

namespace tcpwhy::cli {
namespace {

// What a person types to see it.
constexpr base::Text words_for[] = {{"--fields", "--fields"},
                                    {"the summary", "摘要"},
                                    {"--table", "--table"},
                                    {"--by", "--by"},
                                    {"-o findings of a capture", "抓包的 -o findings"},
                                    {"-o csv|ndjson|parquet", "-o csv|ndjson|parquet"},
                                    {"--by with -o csv|ndjson|json", "--by 与 -o csv|ndjson|json"},
                                    {"-o tcpdump", "-o tcpdump"},
                                    {"--stream", "--stream"},
                                    {"--stream -o json", "--stream -o json"},
                                    {"--stream -o tcpdump", "--stream -o tcpdump"},
                                    {"the timeline of a recording", "记录的时间线"},
                                    {"-o json", "-o json"},
                                    {"-o findings of a recording", "记录的 -o findings"},
                                    {"-o strace", "-o strace"},
                                    {"--compat tshark", "--compat tshark"},
                                    {"--compat zeek", "--compat zeek"}};
static_assert(std::size(words_for) == shown_count);

constexpr std::uint32_t bit(Shown shown) { return 1U << static_cast<unsigned>(shown); }
constexpr std::uint32_t set(std::initializer_list<Shown> all) {
  std::uint32_t bits = 0;
  for (const Shown shown : all) bits |= bit(shown);
  return bits;
}

constexpr std::uint32_t everything = (1U << shown_count) - 1;
constexpr std::uint32_t of_connections =
    set({Shown::summary, Shown::table, Shown::groups, Shown::problems, Shown::records, Shown::records_of_groups});
constexpr std::uint32_t of_one = set({Shown::connection, Shown::connection_json, Shown::connection_packets});
constexpr std::uint32_t of_recording = set({Shown::timeline, Shown::document, Shown::findings, Shown::calls});
constexpr std::uint32_t as_tcpdump = set({Shown::packets, Shown::connection_packets});
constexpr std::uint32_t of_others = set({Shown::tshark, Shown::zeek});

// Language, colours and width are no options of what is shown: they say how text looks, wherever there is some, as the environment does.
struct OptionRow {
  std::string_view name;      // as CLI11 knows it: "--where", "-S"
  std::uint32_t honoured_by;  // a bit for each Shown
};
constexpr OptionRow rows[] = {
    {"--fields", bit(Shown::fields)},
    {"--output", everything & ~of_others & ~bit(Shown::fields)},
    {"-S", as_tcpdump},
    {"-e", as_tcpdump},
    {"-t", as_tcpdump},
    {"--where", of_connections},
    {"--table", bit(Shown::table)},
    {"--columns", set({Shown::table, Shown::records})},
    {"--sort", of_connections & ~set({Shown::summary, Shown::problems})},
    {"--top", of_connections},
    {"--by", set({Shown::groups, Shown::records_of_groups})},
    // tshark and Zeek look into them unasked.
    {"--teredo", of_connections | of_one | of_others},
    {"--threads", of_connections},
    {"--max-connections", of_connections | of_one},
    {"--fail-on", of_connections | set({Shown::connection, Shown::connection_json}) | of_recording},
    {"--compat", of_others},
    {"--stream", of_one},
    {"--conn", of_one},
    {"--calls", set({Shown::connection, Shown::connection_json})},
    {"--all", set({Shown::connection, Shown::timeline})},
};

base::OwnedText words(std::uint32_t bits) {
  base::OwnedText text;
  for (unsigned i = 0; i < shown_count; ++i)
    if ((bits >> i & 1U) != 0) text.join({", ", "、"}, words_for[i]);
  return text;
}

}  // namespace

bool is_of_connections(Shown shown) { return (of_connections & bit(shown)) != 0; }
bool is_of_recording(Shown shown) { return (of_recording & bit(shown)) != 0; }

base::Status check_read_options(const CLI::App& read, std::span<const Shown> possible) {
  std::uint32_t bits = 0;
  for (const Shown shown : possible) bits |= bit(shown);
  for (const OptionRow& row : rows) {
    if ((row.honoured_by & bits) != 0 || read.get_option(std::string(row.name))->count() == 0) continue;
    return base::fail(
        base::ErrorKind::usage,
        base::format({"read: {} says nothing of what is shown here ({})", "read：{} 与此处显示的内容无关（{}）"},
                     row.name, words(bits)),
        base::format({"{} goes with {}", "{} 可用于 {}"}, row.name, words(row.honoured_by)));
  }
  return {};
}

}  // namespace tcpwhy::cli
