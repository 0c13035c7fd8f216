/*
 * phone: the shim around libphonenumber. It must not know what the number is
 * wanted for, and lets no exception out: C cannot catch one.
 */
#include "api/phone.h"

#include <cstring>
#include <string>

#include <phonenumbers/phonenumberutil.h>

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

static const char *
parse_error(PhoneNumberUtil::ErrorType error)
{
	switch (error) {
	case PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR:
		return "has no country code that exists";
	case PhoneNumberUtil::TOO_SHORT_AFTER_IDD:
	case PhoneNumberUtil::TOO_SHORT_NSN:
		return "is too short";
	case PhoneNumberUtil::TOO_LONG_NSN:
		return "is too long";
	default:
		return "is not a telephone number";
	}
}

static const char *
length_error(PhoneNumberUtil::ValidationResult result)
{
	switch (result) {
	case PhoneNumberUtil::INVALID_COUNTRY_CODE:
		return "has no country code that exists";
	case PhoneNumberUtil::TOO_SHORT:
		return "is too short";
	case PhoneNumberUtil::TOO_LONG:
		return "is too long";
	case PhoneNumberUtil::IS_POSSIBLE_LOCAL_ONLY:
		return "has no area code";
	default:
		return "has too many or too few digits";
	}
}

/* NULL when numbers of that type are called. */
static const char *
type_error(PhoneNumberUtil::PhoneNumberType is, enum phone_type *type)
{
	switch (is) {
	case PhoneNumberUtil::FIXED_LINE:
		*type = PHONE_FIXED_LINE;
		return nullptr;
	case PhoneNumberUtil::MOBILE:
		*type = PHONE_MOBILE;
		return nullptr;
	case PhoneNumberUtil::FIXED_LINE_OR_MOBILE:
		*type = PHONE_FIXED_OR_MOBILE;
		return nullptr;
	case PhoneNumberUtil::TOLL_FREE:
		*type = PHONE_TOLL_FREE;
		return nullptr;
	case PhoneNumberUtil::VOIP:
		*type = PHONE_VOIP;
		return nullptr;
	case PhoneNumberUtil::PREMIUM_RATE:
		return "is a premium-rate number, which is not called";
	case PhoneNumberUtil::SHARED_COST:
	case PhoneNumberUtil::UAN:
	case PhoneNumberUtil::PERSONAL_NUMBER:
		/* Dearer than an ordinary call, and partly paid out to who is called: a known fraud. */
		return "is a number of a special rate, which is not called";
	case PhoneNumberUtil::PAGER:
	case PhoneNumberUtil::VOICEMAIL:
		return "is not a number that a person answers";
	default:
		return "is not a valid telephone number";
	}
}

static const char *
parse(const char *text, const char *default_region, char *e164, char *region, enum phone_type *type)
{
	const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
	PhoneNumber number;
	std::string out;

	auto error = util.Parse(text, default_region, &number);
	if (error != PhoneNumberUtil::NO_PARSING_ERROR)
		return parse_error(error);
	/* E.164 has no place for it: a stranger on the same line would be called. */
	if (number.has_extension() && !number.extension().empty())
		return "must be given without an extension";
	auto possible = util.IsPossibleNumberWithReason(number);
	if (possible != PhoneNumberUtil::IS_POSSIBLE)
		return length_error(possible);
	/* UNKNOWN is what IsValidNumber() would call invalid, after asking for the type itself: a quarter of the whole. */
	const char *why = type_error(util.GetNumberType(number), type);
	if (why != nullptr)
		return why;

	util.Format(number, PhoneNumberUtil::E164, &out);
	/* The library knows a few plans with longer numbers than the standard. */
	if (out.size() >= PHONE_E164_SIZE)
		return "is too long";
	memcpy(e164, out.c_str(), out.size() + 1);
	util.GetRegionCodeForNumber(number, &out);
	if (out.empty() || out.size() >= PHONE_REGION_SIZE)
		return "is not a valid telephone number";
	memcpy(region, out.c_str(), out.size() + 1);
	return nullptr;
}

bool
phone_parse(const char *text, const char *default_region, char *e164, char *region, enum phone_type *type,
    const char **why)
{
	if (strlen(text) > PHONE_TEXT_MAX) {
		*why = "is too long";
		return false;
	}
	try {
		*why = parse(text, default_region, e164, region, type);
	} catch (...) {
		*why = "is not a telephone number";
	}
	return *why == nullptr;
}

bool
phone_region_ok(const char *region)
{
	try {
		return PhoneNumberUtil::GetInstance()->GetCountryCodeForRegion(region) != 0;
	} catch (...) {
		return false;
	}
}
