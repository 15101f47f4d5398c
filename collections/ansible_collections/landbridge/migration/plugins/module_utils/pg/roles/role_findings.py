# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an administrator without a superuser's rights could not do to a target's roles."""

from __future__ import annotations

from ..finding import Finding
from .roles import Member, Options


def not_givable(rolname: str, word: str) -> Finding:
    return Finding(
        "role_attribute_refused",
        "warning",
        f"role {rolname}",
        f"{rolname} is made without {word}, which the target's administrator may not give",
        f"If {rolname} needs it there, have the provider or a superuser give {word}.",
    )


def not_administered(rolname: str, admin: str) -> Finding:
    return Finding(
        "role_not_administered",
        "warning",
        f"role {rolname}",
        f"{rolname} is on the target already, differs, and {admin} may not alter it",
        f'Whoever made it runs: GRANT "{rolname}" TO "{admin}" WITH ADMIN OPTION',
    )


def not_settable(rolname: str, parameter: str, value: str) -> Finding:
    return Finding(
        "role_setting_refused",
        "warning",
        f"role {rolname}",
        f"{parameter} = {value} is not set for {rolname}: the target's administrator may not",
        f"If {rolname} needs it, have the provider set it, or GRANT SET ON PARAMETER {parameter}.",
    )


def no_such_group(member: Member) -> Finding:
    return Finding(
        "role_missing",
        "warning",
        f"role {member.role}",
        f"{member.member} is a member of {member.role} on the source; the target has no such role",
        "Map it to the target's equivalent in the role map, or to null to leave it out.",
    )


def not_grantable(member: Member, admin: str) -> Finding:
    mine = member.member == admin
    return Finding(
        "role_not_grantable",
        "blocker" if mine else "warning",
        f"role {member.role}",
        f"{admin} may not make {member.member} a member of {member.role}",
        f'Whoever may runs: GRANT "{member.role}" TO "{member.member}"',
    )


def options_lost(member: Member, options: Options) -> Finding:
    words = ", ".join(f"{k.upper()} {str(v).upper()}" for k, v in options._asdict().items())
    return Finding(
        "membership_options_lost",
        "note",
        f"role {member.role}",
        f"{member.member}'s membership is WITH {words}, which the target's version cannot express",
        "A target of version 16 or newer keeps it.",
    )


def refused(rolname: str, what: str, reason: str) -> Finding:
    """Say that the server did not take a statement that its catalogs seemed to allow."""
    return Finding(
        "role_change_refused",
        "warning",
        f"role {rolname}",
        f"{what} of {rolname} was refused: {reason}",
        "Make it there as one who may, or change it on the source.",
    )


def no_password(rolname: str) -> Finding:
    """Say that a role that logs in was given no password: the source's is not to be had."""
    return Finding(
        "role_without_password",
        "note",
        f"role {rolname}",
        f"{rolname} may log in and no password is given for it",
        "Name its password in passwords, unless it logs in without one or has one there.",
    )


def password_unused(rolname: str, why: str) -> Finding:
    """Say that a password was given that could not be set or tried."""
    return Finding(
        "password_unused",
        "warning",
        f"role {rolname}",
        f"the password given for {rolname} is not set: {why}",
        "Correct the role or the name in passwords.",
    )
