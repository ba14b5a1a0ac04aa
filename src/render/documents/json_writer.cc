#include "render/documents/json_writer.h"

#include "base/check.h"

namespace tcpwhy::render {
namespace {

constexpr std::size_t indent = 2;
constexpr std::size_t much = 256 * 1024;

}  // namespace

JsonWriter::JsonWriter(const WriteText& write) : write_(write) { open('{', '}'); }

void JsonWriter::open(char opening, char closing) {
  text_ += opening;
  levels_.push_back({closing});
}

// On to the next member or element: the comma behind the one before it, a line of its own, its key.
void JsonWriter::next(std::string_view key) {
  if (!levels_.back().empty) text_ += ',';
  levels_.back().empty = false;
  text_ += '\n';
  text_.append(indent * levels_.size(), ' ');
  if (levels_.back().closing != '}') return;
  text_ += '"';
  text_ += key;
  text_ += "\": ";
}

void JsonWriter::put(const Json& value) {
  // Ends of lines inside of texts are escaped: each that there is begins a line of the value's own.
  for (const char letter : value.dump(static_cast<int>(indent), ' ', false, Json::error_handler_t::replace)) {
    text_ += letter;
    if (letter == '\n') text_.append(indent * levels_.size(), ' ');
  }
  hand_over_if_much();
}

void JsonWriter::member(std::string_view key, const Json& value) {
  next(key);
  put(value);
}

void JsonWriter::element(const Json& value) { member({}, value); }

void JsonWriter::begin_object(std::string_view key) {
  next(key);
  open('{', '}');
}

void JsonWriter::begin_object() { begin_object({}); }

void JsonWriter::begin_array(std::string_view key) {
  next(key);
  open('[', ']');
}

void JsonWriter::end() {
  const Level level = levels_.back();
  levels_.pop_back();
  if (!level.empty) {
    text_ += '\n';
    text_.append(indent * levels_.size(), ' ');
  }
  text_ += level.closing;
  hand_over_if_much();
}

void JsonWriter::hand_over_if_much() {
  if (text_.size() < much) return;
  write_(text_);
  text_.clear();
}

void JsonWriter::finish() {
  end();
  TCPWHY_CHECK(levels_.empty());
  text_ += '\n';
  write_(text_);
  text_.clear();
}

}  // namespace tcpwhy::render
