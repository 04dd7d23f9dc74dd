// Reader of CSV files (RFC 4180), plain or gzipped, as data sets. Needs zlib.
#pragma once

#include <plexus/data/dataset.hpp>
#include <plexus/io/shown.hpp>
#include <plexus/io/unzipped_source.hpp>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace plexus::inline PLEXUS_ABI {

// A column by its place, from 0 or back from -1, the last; or by its name in the first line.
using csv_column = std::variant<int, std::string>;

// Give either label or targets; the columns that are neither these nor ignored are the features.
struct csv_options {
  bool has_header = true;              // the first line names the columns
  char separator = ',';                // or '\t', ';', …
  std::optional<csv_column> label{};   // the class: in all lines a whole number from 0, or in all a text
  std::vector<std::string> classes{};  // the texts of the classes in order; empty: those of the file, sorted
  std::vector<csv_column> targets{};   // the values to be predicted, in the order of outputs
  std::vector<csv_column> ignored{};   // what no network shall see, such as a running number
};

struct csv_dataset : dataset {
  std::vector<std::string> feature_names{};  // empty where the file has no header
  std::vector<std::string> class_names{};    // empty where the classes are numbers
};

namespace csv {

// One line of the table: the texts of its fields lie one after the other, without their quotes.
class record {
 public:
  struct field {
    std::size_t end;
    std::size_t line;  // of the file, from 1, in which it begins
    bool quoted;
  };

  std::string text;
  std::vector<field> fields;

  void clear() {
    text.clear();
    fields.clear();
  }
  std::size_t begin(std::size_t i) const { return i == 0 ? 0 : fields[i - 1].end; }
  std::string_view operator[](std::size_t i) const {
    return std::string_view(text).substr(begin(i), fields[i].end - begin(i));
  }
  std::size_t line() const { return fields.front().line; }
  bool blank() const { return text.empty() && fields.size() == 1 && !fields[0].quoted; }
};

// The file as records. Blanks around a field are no part of it unless they are quoted; lines end in LF, CR LF
// or CR; a byte order mark is skipped.
class scanner {
 public:
  // What is longer is no line of a table, but perhaps a quote that is never closed. The fields, which take
  // more memory than the text of a short one, have a limit of their own.
  static constexpr std::size_t longest_record = std::size_t{1} << 24;
  static constexpr std::size_t most_fields = std::size_t{1} << 20;

  scanner(byte_source& packed, char separator) : packed_(packed), source_(packed), separator_(separator) {
    constexpr std::string_view mark = "\xef\xbb\xbf";
    refill();
    if (std::string_view(chunk_).substr(0, size_).starts_with(mark)) at_ = mark.size();
  }

  // The next line of the table, or false at the end. Blank lines may stand at the file's end only.
  bool read(record& to) {
    std::size_t blank = 0;  // the first of them
    while (peek() != end) {
      read_record(to);
      if (to.blank()) {
        if (blank == 0) blank = to.line();
      } else if (blank != 0) {
        refuse_line(blank, "is blank, and others follow it", "remove it");
      } else {
        return true;
      }
    }
    return false;
  }

  void name_columns(const record& header) {
    for (std::size_t i = 0; i < header.fields.size(); ++i) names_.emplace_back(header[i]);
  }
  const std::vector<std::string>& names() const { return names_; }

  std::string column_text(std::size_t column) const {
    return "column " + std::to_string(column) +
           (column < names_.size() ? " (" + shown(names_[column]) + ")" : "");
  }

  [[noreturn]] void refuse_line(std::size_t line, const std::string& wrong, const std::string& remedy) const {
    packed_.refuse("line " + std::to_string(line) + " " + wrong, remedy);
  }

  [[noreturn]] void refuse_field(std::size_t line, std::size_t column, const std::string& wrong,
                                 const std::string& remedy) const {
    packed_.refuse("line " + std::to_string(line) + ", " + column_text(column) + ": " + wrong, remedy);
  }

 private:
  static constexpr int end = -1;
  static constexpr const char* quote_all = "put all of the field in quotes, and write each quote in it twice";
  static constexpr const char* a_line_each = "close its quotes, or give a table with a line for each sample";

  void refill() {
    at_ = 0;
    size_ = source_.read(std::as_writable_bytes(std::span(chunk_)));
  }

  int peek() {
    if (at_ == size_) refill();
    return at_ == size_ ? end : static_cast<unsigned char>(chunk_[at_]);
  }

  bool sees(char byte) { return peek() == static_cast<unsigned char>(byte); }
  bool is_blank(int byte) const {
    return (byte == ' ' || byte == '\t') && byte != static_cast<unsigned char>(separator_);
  }
  bool sees_blank() { return is_blank(peek()); }
  bool sees_field_end() { return sees(separator_) || sees('\n') || sees('\r') || peek() == end; }

  // Takes the next byte if it is this one.
  bool take(char byte) {
    if (!sees(byte)) return false;
    ++at_;
    return true;
  }

  void read_record(record& to) {
    to.clear();
    record_line_ = line_;
    do {
      while (sees_blank()) ++at_;
      const std::size_t line = line_;
      const bool quoted = take('"');
      if (quoted) {
        read_quoted(to);
      } else {
        read_plain(to);
      }
      if (to.fields.size() == most_fields) {
        refuse_line(record_line_, "has more than " + std::to_string(most_fields) + " fields", a_line_each);
      }
      to.fields.push_back({to.text.size(), line, quoted});
    } while (take(separator_));
    const bool carriage_return = take('\r'), line_feed = take('\n');
    if (carriage_return || line_feed) ++line_;
  }

  void read_plain(record& to) {
    const std::size_t begin = to.text.size();
    do {
      const std::string_view rest = std::string_view(chunk_).substr(at_, size_ - at_);
      append_next(to, std::min(rest.find_first_of(std::string_view(marks_)), rest.size()));
    } while (at_ == size_ && peek() != end);
    if (sees('"')) {
      refuse_field(line_, to.fields.size(), "a quote stands in a field that does not begin with one",
                   quote_all);
    }
    while (to.text.size() > begin && is_blank(to.text.back())) to.text.pop_back();
  }

  // What follows the opening quote.
  void read_quoted(record& to) {
    const std::size_t line = line_;
    while (!take('"') || sees('"')) {  // two in a row stand for one
      if (peek() == end) refuse_field(line, to.fields.size(), "its quote is never closed", "close it");
      append_next(to, 1);
      const char byte = to.text.back();
      if (byte == '\n' || (byte == '\r' && !sees('\n'))) ++line_;
    }
    while (sees_blank()) ++at_;
    if (!sees_field_end()) {
      refuse_field(line_, to.fields.size(), "text follows the closing quote", quote_all);
    }
  }

  void append_next(record& to, std::size_t count) {
    if (count > longest_record - to.text.size()) {
      refuse_line(record_line_, "has more than " + std::to_string(longest_record) + " bytes", a_line_each);
    }
    to.text.append(chunk_, at_, count);
    at_ += count;
  }

  byte_source& packed_;
  unzipped_source source_;
  char separator_;
  std::string marks_{separator_, '"', '\r', '\n'};  // where a field without quotes ends, or is at fault
  std::string chunk_ = std::string(std::size_t{1} << 16, '\0');
  std::size_t at_ = 0;
  std::size_t size_ = 0;
  std::size_t line_ = 1;
  std::size_t record_line_ = 1;
  std::vector<std::string> names_;  // of the columns, where the file has a header
};

class reader {
 public:
  reader(byte_source packed, const csv_options& options)
      : packed_(std::move(packed)), options_(options), scanner_(packed_, options.separator) {}

  csv_dataset read() {
    check_options();
    try {
      read_table();
    } catch (const std::bad_alloc&) {
      packed_.refuse("its values do not fit in memory", "free memory");
    }
    data_.validate();
    return std::move(data_);
  }

 private:
  static constexpr const char* fill_in = "fill it in, remove the line or ignore the column";
  static constexpr const char* give_samples = "give a file with a line for each sample";

  void check_options() const {
    if (options_.separator == '"' || options_.separator == '\n' || options_.separator == '\r') {
      packed_.refuse("a quote or a line break cannot separate its fields", "set csv_options.separator");
    }
    if (options_.label.has_value() == !options_.targets.empty()) {
      packed_.refuse(
          options_.label ? "both a label and targets are chosen" : "no label or targets are chosen",
          "set csv_options.label or csv_options.targets");
    }
    for (auto name = options_.classes.begin(); name != options_.classes.end(); ++name) {
      if (std::find(options_.classes.begin(), name, *name) == name) continue;
      packed_.refuse("the class " + shown(*name) + " is given twice", "give each class once");
    }
  }

  void read_table() {
    if (!scanner_.read(record_)) packed_.refuse("it is empty", give_samples);
    columns_ = record_.fields.size();
    if (options_.has_header) scanner_.name_columns(record_);
    assign_roles();
    if (options_.has_header && !scanner_.read(record_)) {
      packed_.refuse("it has names of columns and no samples", give_samples);
    }
    do add_sample();
    while (scanner_.read(record_));
    name_classes();
  }

  void assign_roles() {
    std::vector<bool> chosen(columns_);
    const auto choose = [&](const csv_column& wanted) {
      const std::size_t column = place_of(wanted);
      if (chosen[column]) {
        packed_.refuse(scanner_.column_text(column) + " is chosen twice",
                       "name it once among label, targets and ignored");
      }
      chosen[column] = true;
      return column;
    };
    if (options_.label) label_ = choose(*options_.label);
    for (const csv_column& wanted : options_.targets) targets_.push_back(choose(wanted));
    for (const csv_column& wanted : options_.ignored) choose(wanted);
    for (std::size_t i = 0; i < columns_; ++i) {
      if (chosen[i]) continue;
      features_.push_back(i);
      if (options_.has_header) data_.feature_names.push_back(scanner_.names()[i]);
    }
    if (features_.empty()) packed_.refuse("no column is left for the features", "choose fewer columns");
    data_.features = static_cast<int>(features_.size());
    data_.outputs = static_cast<int>(targets_.size());
  }

  std::size_t place_of(const csv_column& wanted) const {
    if (const auto* name = std::get_if<std::string>(&wanted)) return place_of_name(*name);
    const int index = std::get<int>(wanted);
    const auto place = static_cast<std::size_t>(index < 0 ? index + static_cast<int>(columns_) : index);
    if (place >= columns_) {
      packed_.refuse("there is no column " + std::to_string(index) + " of " + std::to_string(columns_),
                     "count columns from 0, or back from the last, -1");
    }
    return place;
  }

  std::size_t place_of_name(const std::string& name) const {
    const auto& names = scanner_.names();
    if (!options_.has_header) {
      packed_.refuse("the column " + shown(name) + " is wanted, and no line names the columns",
                     "give its number, or set csv_options.has_header");
    }
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      std::vector<std::string> all;
      for (const std::string& other : names) all.push_back(shown(other));
      packed_.refuse("no column is called " + shown(name), "name one of " + listed(all));
    }
    if (std::find(found + 1, names.end(), name) != names.end()) {
      packed_.refuse("two columns are called " + shown(name), "give the column's number");
    }
    return static_cast<std::size_t>(found - names.begin());
  }

  void add_sample() {
    const std::size_t fields = record_.fields.size();
    if (fields != columns_) {
      scanner_.refuse_field(record_.fields.back().line, std::min(fields, columns_),
                            fields < columns_
                                ? "it is missing, and so are all after it"
                                : "the first line has only " + std::to_string(columns_) + " columns",
                            "give each line as many fields as the first");
    }
    for (const std::size_t column : features_) data_.inputs.push_back(number(column));
    for (const std::size_t column : targets_) data_.targets.push_back(number(column));
    if (label_) data_.labels.push_back(label(*label_));
  }

  // Read as double, so that what is too small for float is rounded and what is too large is seen.
  float number(std::size_t column) const {
    const std::string_view text = text_of(column);
    double value = 0;
    const std::optional<std::errc> failure = parse(text, value);
    if (!failure) refuse(column, shown(text) + " is no number", "correct it or ignore the column");
    if (!std::isfinite(value)) refuse(column, shown(text) + " is not finite", fill_in);
    const auto narrow = static_cast<float>(value);
    if (*failure != std::errc() || std::isinf(narrow)) {
      refuse(column, shown(text) + " is out of the range of float", "scale the column");
    }
    return narrow;
  }

  // All of the text as a number, which may have a plus sign; nothing where it is none.
  static std::optional<std::errc> parse(std::string_view text, double& value) {
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
    const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure == std::errc::invalid_argument || rest != text.data() + text.size()) return std::nullopt;
    return failure;
  }

  int label(std::size_t column) {
    const std::string_view text = text_of(column);
    if (!options_.classes.empty()) return class_of(column, text);
    const std::optional<int> number = whole(text);
    if (data_.labels.empty()) numbered_ = number.has_value();
    if (numbered_ != number.has_value()) {
      refuse(column,
             shown(text) + (numbered_ ? " is no number of a class, and the labels before it are"
                                      : " is the number of a class, and the labels before it are texts"),
             "correct it, or give all labels in csv_options.classes");
    }
    if (number) {
      data_.outputs = std::max(data_.outputs, *number + 1);
      return *number;
    }
    double value = 0;  // such as 1.0: as texts they would be sorted as texts
    if (parse(text, value)) {
      refuse(column, shown(text) + " is a number, but no whole one from 0",
             "correct it, or give all labels in csv_options.classes");
    }
    const auto found = found_.find(text);
    if (found != found_.end()) return found->second;
    return found_.emplace(text, static_cast<int>(found_.size())).first->second;
  }

  int class_of(std::size_t column, std::string_view text) const {
    const auto found = std::ranges::find(options_.classes, text);
    if (found == options_.classes.end()) {
      refuse(column, shown(text) + " is none of the classes", "correct it, or add it to csv_options.classes");
    }
    return static_cast<int>(found - options_.classes.begin());
  }

  // The label as the number of a class, or nothing.
  static std::optional<int> whole(std::string_view text) {
    int value = 0;
    const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || rest != text.data() + text.size()) return std::nullopt;
    if (value < 0 || value == INT_MAX) return std::nullopt;  // there would be INT_MAX + 1 classes
    return value;
  }

  // Texts were numbered as they came; sorted, the numbers do not depend on the order of the lines.
  void name_classes() {
    if (!options_.classes.empty() && label_) {
      data_.class_names = options_.classes;
    } else if (!found_.empty()) {
      std::vector<int> sorted(found_.size());
      for (const auto& [name, arrival] : found_) {
        sorted[static_cast<std::size_t>(arrival)] = static_cast<int>(data_.class_names.size());
        data_.class_names.push_back(name);
      }
      for (int& label : data_.labels) label = sorted[static_cast<std::size_t>(label)];
    }
    if (!data_.class_names.empty()) data_.outputs = static_cast<int>(data_.class_names.size());
  }

  std::string_view text_of(std::size_t column) const {
    const std::string_view text = record_[column];
    if (text.empty()) refuse(column, "it is empty", fill_in);
    return text;
  }

  [[noreturn]] void refuse(std::size_t column, const std::string& wrong, const std::string& remedy) const {
    scanner_.refuse_field(record_.fields[column].line, column, wrong, remedy);
  }

  byte_source packed_;
  const csv_options& options_;
  scanner scanner_;
  record record_;
  std::size_t columns_ = 0;
  std::vector<std::size_t> features_;
  std::vector<std::size_t> targets_;
  std::optional<std::size_t> label_;
  bool numbered_ = false;                          // the labels are numbers
  std::map<std::string, int, std::less<>> found_;  // the labels that are texts, and when each came first
  csv_dataset data_;
};

}  // namespace csv

// The table as samples, one a line, whole or refused. Numbers are in decimal, with a point whatever the
// locale; a cell that is empty, no number or not finite is refused with its line (from 1) and
// column (from 0). Text labels are numbered in sorted order.
inline csv_dataset load_csv(const std::filesystem::path& path, const csv_options& options) {
  return csv::reader(byte_source(path, "reading the CSV file " + quoted(path)), options).read();
}

// The same from memory.
inline csv_dataset parse_csv(std::span<const std::byte> bytes, const csv_options& options) {
  return csv::reader(byte_source(bytes, "reading CSV data in memory"), options).read();
}

}  // namespace plexus::inline PLEXUS_ABI
