#include "scan/tables/where/where.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "scan/connections/network.h"
#include "scan/tables/nearest.h"

namespace tcpwhy::scan {

struct Where::Node {
  enum class Kind : std::uint8_t { all, any, negation, comparison };
  enum class Operator : std::uint8_t { truth, equal, unequal, less, at_most, greater, at_least, contains };
  Kind kind = Kind::comparison;
  std::vector<std::unique_ptr<Node>> parts;
  const Field* field = nullptr;
  Operator op = Operator::truth;
  std::string text;
  std::optional<double> number;    // the text as one, in the field's unit
  std::optional<EndPattern> ends;  // the text as one, where the field is an end, an address or a network
};

namespace {

using Node = Where::Node;
constexpr int deepest = 64;

struct Token {
  std::string text;
  std::size_t at = 0;
  bool quoted = false;
};

bool is_operator_character(char c) { return c == '=' || c == '!' || c == '<' || c == '>' || c == '~'; }

base::Result<std::vector<Token>> split(std::string_view text) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t begin = i;
    if (c == ' ' || c == '\t' || c == '\n') {
      ++i;
    } else if (c == '(' || c == ')') {
      tokens.push_back({std::string(1, c), i++, false});
    } else if (is_operator_character(c)) {
      while (i < text.size() && is_operator_character(text[i])) ++i;
      tokens.push_back({std::string(text.substr(begin, i - begin)), begin, false});
    } else if (c == '"' || c == '\'') {
      const std::size_t end = text.find(c, i + 1);
      if (end == std::string_view::npos)
        return base::fail(
            base::ErrorKind::usage,
            base::format({"--where: the quote at column {} is not closed", "--where：第 {} 列的引号没有闭合"}, i + 1));
      tokens.push_back({std::string(text.substr(i + 1, end - i - 1)), i, true});
      i = end + 1;
    } else {
      while (i < text.size() && !is_operator_character(text[i]) &&
             std::string_view(" \t\n()\"'").find(text[i]) == std::string_view::npos)
        ++i;
      tokens.push_back({std::string(text.substr(begin, i - begin)), begin, false});
    }
  }
  return tokens;
}

// "1.5s" in nanoseconds where the field is a time, "10MB" in bytes where it is a size; a plain number as it is, seconds
// for a time.
std::optional<double> in_unit(std::string_view text, Unit unit) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  struct Suffix {
    std::string_view word;
    Unit unit;
    double factor;
  };
  constexpr Suffix suffixes[] = {{"", Unit::none, 1},
                                 {"", Unit::bytes, 1},
                                 {"", Unit::nanoseconds, 1e9},
                                 {"", Unit::wall_time, 1e9},
                                 {"ns", Unit::nanoseconds, 1},
                                 {"us", Unit::nanoseconds, 1e3},
                                 {"ms", Unit::nanoseconds, 1e6},
                                 {"s", Unit::nanoseconds, 1e9},
                                 {"min", Unit::nanoseconds, 6e10},
                                 {"h", Unit::nanoseconds, 3.6e12},
                                 {"B", Unit::bytes, 1},
                                 {"kB", Unit::bytes, 1e3},
                                 {"MB", Unit::bytes, 1e6},
                                 {"GB", Unit::bytes, 1e9}};
  const auto* row = std::ranges::find_if(suffixes, [&](const Suffix& s) { return s.word == suffix && s.unit == unit; });
  if (row == std::end(suffixes)) return std::nullopt;
  // 1.1 s are 1,100,000,000 ns, whatever a binary fraction makes of it.
  const double scaled = value * row->factor, whole = std::round(scaled);
  return std::abs(scaled - whole) <= std::abs(whole) * 1e-12 ? whole : scaled;
}

bool is_of_ends(const Field& field) {
  return field.type == Type::end || field.type == Type::address || field.type == Type::network;
}
bool is_order(Node::Operator op) { return op >= Node::Operator::less && op <= Node::Operator::at_least; }
bool is_equality(Node::Operator op) { return op == Node::Operator::equal || op == Node::Operator::unequal; }

// Why a comparison can never hold, or never not: the words of an error, and what to write instead.
struct Refusal {
  base::OwnedText why, hint;
};

base::OwnedText hint_of(const Field& field, std::string_view near) {
  return base::format({"{}{} is {}", "{}{} 的取值：{}"}, did_you_mean(near), field.name, values_in_words(field));
}

std::optional<Refusal> refuse_number(const Node& node) {
  const Field& field = *node.field;
  if (node.op == Node::Operator::contains)
    return Refusal{base::format({"{} is a number: = != < <= > >=", "{} 是数字：= != < <= > >="}, field.name),
                   hint_of(field, {})};
  if (!node.number)
    return Refusal{{"expected a number, with a unit that fits the field", "此处应为数字，单位须与字段相符"},
                   hint_of(field, {})};
  const auto least = static_cast<double>(field.values.least), most = static_cast<double>(field.values.most);
  const double value = *node.number;
  const auto never = [&] {
    switch (node.op) {
      case Node::Operator::less: return value <= least;
      case Node::Operator::at_most: return value < least;
      case Node::Operator::greater: return value >= most;
      case Node::Operator::at_least: return value > most;
      default: return value < least || value > most || value != std::round(value);
    }
  };
  if (!never()) return std::nullopt;
  const bool between = value >= least && value <= most && is_equality(node.op);
  return Refusal{between ? base::format({"{} is a whole number", "{} 是整数"}, field.name)
                 : is_equality(node.op)
                     ? base::format({"{} is never {}", "{} 不会是 {}"}, field.name, node.text)
                     : base::format({"{} is never as small or as large as that", "{} 不会这么小或这么大"}, field.name),
                 hint_of(field, {})};
}

// Whether --where can compare a text of ends by ~: only with what such texts are made of.
bool may_be_part_of_end(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF.:[]/") == std::string_view::npos;
}

std::optional<Refusal> refuse_end(Node& node) {
  const Field& field = *node.field;
  if (node.op == Node::Operator::contains) {
    if (may_be_part_of_end(node.text)) return std::nullopt;
  } else {
    node.ends = EndPattern::parse(node.text);
    const bool fits = node.ends && (field.type == Type::end || !node.ends->port);
    if (fits) return std::nullopt;
    if (node.ends)
      return Refusal{base::format({"{} has no port", "{} 没有端口"}, field.name),
                     base::format({"{0}={1}, or {0}.port", "{0}={1}，或 {0}.port"},
                                  field.values.side == opener ? "client" : "server", node.text)};
  }
  return Refusal{base::format({"{} is never {}", "{} 不会是 {}"}, field.name, base::quote(node.text)),
                 hint_of(field, {})};
}

std::optional<Refusal> refuse_word(Node& node) {
  const Field& field = *node.field;
  if (field.type == Type::boolean) {
    if (node.text == "yes") node.text = "true";
    if (node.text == "no") node.text = "false";
  }
  const std::vector<std::string_view> words = field.type == Type::boolean
                                                  ? std::vector<std::string_view>{"true", "false"}
                                              : field.values.words != nullptr ? field.values.words()
                                                                              : std::vector<std::string_view>();
  const bool contains = node.op == Node::Operator::contains;
  const auto fits = [&](std::string_view word) {
    return contains ? word.find(node.text) != std::string_view::npos : word == node.text;
  };
  if (words.empty() ? contains || field.values.may_be == nullptr || field.values.may_be(node.text)
                    : std::ranges::any_of(words, fits))
    return std::nullopt;
  return Refusal{base::format({"{} {} {}", "{} {} {}"}, field.name,
                              contains ? base::Text{"never contains", "不会包含"} : base::Text{"is never", "不会是"},
                              base::quote(node.text)),
                 hint_of(field, nearest(node.text, words))};
}

// Looks at a comparison whose text and number are there; makes the rest of it.
std::optional<Refusal> refuse(Node& node) {
  const Field& field = *node.field;
  if (field.type == Type::integer) return refuse_number(node);
  if (is_order(node.op))
    return Refusal{base::format({"{} is no number: = !={}", "{} 不是数字：= !={}"}, field.name,
                                field.type == Type::boolean ? "" : " ~"),
                   hint_of(field, {})};
  return is_of_ends(field) ? refuse_end(node) : refuse_word(node);
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens) : text_(text), tokens_(std::move(tokens)) {}

  base::Result<std::unique_ptr<Node>> run() {
    auto root = expression(0);
    if (root && next_ < tokens_.size())
      return wrong({"expected \"and\", \"or\" or the end", "此处应为 \"and\"、\"or\" 或结尾"});
    return root;
  }

 private:
  using Parsed = base::Result<std::unique_ptr<Node>>;

  [[nodiscard]] bool is_word(std::string_view word) const {
    return next_ < tokens_.size() && !tokens_[next_].quoted && tokens_[next_].text == word;
  }
  [[nodiscard]] std::unexpected<base::Error> wrong(const base::Text& what, base::OwnedText hint = {}) const {
    const std::size_t at = next_ < tokens_.size() ? tokens_[next_].at : text_.size();
    if (hint.empty()) hint = base::both(fmt::format("{}\n{:>{}}", base::escape_controls(text_), "^", at + 1));
    return base::fail(base::ErrorKind::usage,
                      base::format({"--where: column {}: {}", "--where：第 {} 列：{}"}, at + 1, what), std::move(hint));
  }

  Parsed joined(int depth, std::string_view word, Node::Kind kind, Parsed (Parser::*part)(int)) {
    auto first = (this->*part)(depth);
    if (!first || !is_word(word)) return first;
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->parts.push_back(std::move(*first));
    while (is_word(word)) {
      ++next_;
      auto more = (this->*part)(depth);
      if (!more) return more;
      node->parts.push_back(std::move(*more));
    }
    return node;
  }
  Parsed expression(int depth) { return joined(depth, "or", Node::Kind::any, &Parser::term); }
  Parsed term(int depth) { return joined(depth, "and", Node::Kind::all, &Parser::factor); }
  Parsed factor(int depth) {
    if (depth > deepest) return wrong({"nested too deep", "嵌套太深"});
    if (is_word("not")) {
      ++next_;
      auto inner = factor(depth + 1);
      if (!inner) return inner;
      auto node = std::make_unique<Node>();
      node->kind = Node::Kind::negation;
      node->parts.push_back(std::move(*inner));
      return node;
    }
    if (is_word("(")) {
      ++next_;
      auto inner = expression(depth + 1);
      if (inner && !is_word(")")) return wrong({"expected )", "此处应为 )"});
      ++next_;
      return inner;
    }
    return comparison();
  }
  Parsed comparison() {
    if (next_ >= tokens_.size()) return wrong({"expected a field", "此处应为字段"});
    auto node = std::make_unique<Node>();
    node->field = find_field(tokens_[next_].text);
    if (node->field == nullptr) {
      const std::string& word = tokens_[next_].text;
      return wrong(base::format({"no field {}", "没有字段 {}"}, base::quote(word)), hint_for_field(word));
    }
    ++next_;
    if (next_ >= tokens_.size() || tokens_[next_].quoted || !is_operator_character(tokens_[next_].text[0])) return node;
    struct Spelling {
      std::string_view text;
      Node::Operator op;
    };
    constexpr Spelling spellings[] = {{"=", Node::Operator::equal},     {"==", Node::Operator::equal},
                                      {"!=", Node::Operator::unequal},  {"<", Node::Operator::less},
                                      {"<=", Node::Operator::at_most},  {">", Node::Operator::greater},
                                      {">=", Node::Operator::at_least}, {"~", Node::Operator::contains}};
    const auto* spelling = std::ranges::find(spellings, tokens_[next_].text, &Spelling::text);
    if (spelling == std::end(spellings)) return wrong({"expected = != < <= > >= or ~", "此处应为 = != < <= > >= 或 ~"});
    node->op = spelling->op;
    ++next_;
    if (next_ >= tokens_.size() || (!tokens_[next_].quoted && (is_word("(") || is_word(")"))))
      return wrong({"expected a value", "此处应为值"});
    node->text = tokens_[next_].text;
    node->number = in_unit(node->text, node->field->unit);
    if (const auto refusal = refuse(*node)) return wrong(refusal->why, refusal->hint);
    ++next_;
    return node;
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
};

bool is_true(const FieldValue& value) {
  if (const auto* yes = std::get_if<bool>(&value)) return *yes;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number != 0;
  if (const auto* list = std::get_if<std::vector<std::string_view>>(&value)) return !list->empty();
  return std::holds_alternative<std::string>(value);
}

bool compare_numbers(double left, Node::Operator op, double right) {
  switch (op) {
    case Node::Operator::equal: return left == right;
    case Node::Operator::unequal: return left != right;
    case Node::Operator::less: return left < right;
    case Node::Operator::at_most: return left <= right;
    case Node::Operator::greater: return left > right;
    case Node::Operator::at_least: return left >= right;
    default: return false;
  }
}

bool compare_text(std::string_view left, Node::Operator op, std::string_view right) {
  switch (op) {
    case Node::Operator::equal: return left == right;
    case Node::Operator::unequal: return left != right;
    case Node::Operator::contains: return left.find(right) != std::string_view::npos;
    default: return false;
  }
}

bool compare(const Node& node, const FieldValue& value) {
  if (node.op == Node::Operator::truth) return is_true(value);
  if (const auto* number = std::get_if<std::int64_t>(&value))
    return node.number && compare_numbers(static_cast<double>(*number), node.op, *node.number);
  if (const auto* yes = std::get_if<bool>(&value)) return compare_text(*yes ? "true" : "false", node.op, node.text);
  if (const auto* text = std::get_if<std::string>(&value)) return compare_text(*text, node.op, node.text);
  if (const auto* list = std::get_if<std::vector<std::string_view>>(&value)) {
    if (node.op == Node::Operator::unequal) return std::ranges::find(*list, node.text) == list->end();
    return std::ranges::any_of(*list, [&](std::string_view item) { return compare_text(item, node.op, node.text); });
  }
  return false;
}

bool holds(const Node& node, const Row& row) {
  const auto part_holds = [&](const auto& part) { return holds(*part, row); };
  switch (node.kind) {
    case Node::Kind::all: return std::ranges::all_of(node.parts, part_holds);
    case Node::Kind::any: return std::ranges::any_of(node.parts, part_holds);
    case Node::Kind::negation: return !holds(*node.parts[0], row);
    case Node::Kind::comparison: break;
  }
  if (node.ends) {
    const wire::SocketAddress& end = row.record.addresses[node.field->values.side];
    return node.ends->matches(end) == (node.op == Node::Operator::equal);
  }
  return compare(node, node.field->value(row));
}

}  // namespace

Where::Where(std::unique_ptr<Node> root) : root_(std::move(root)) {}
Where::Where(Where&&) noexcept = default;
Where& Where::operator=(Where&&) noexcept = default;
Where::~Where() = default;

base::Result<Where> Where::parse(std::string_view text) {
  auto tokens = split(text);
  if (!tokens) return std::unexpected(tokens.error());
  auto root = Parser(text, std::move(*tokens)).run();
  if (!root) return std::unexpected(root.error());
  return Where(std::move(*root));
}

bool Where::holds(const Row& row) const { return scan::holds(*root_, row); }

}  // namespace tcpwhy::scan
